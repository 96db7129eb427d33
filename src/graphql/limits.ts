import {
  type DocumentNode,
  type FieldNode,
  type FragmentDefinitionNode,
  GraphQLError,
  Kind,
  type OperationDefinitionNode,
  type SelectionNode,
  type SelectionSetNode,
  type TypeNode,
  type ValueNode,
  type VariableDefinitionNode,
  type validate,
} from 'graphql';
import type { Plugin } from 'graphql-yoga';
import { RefusedRequest } from '../core/errors.ts';
import { DEFAULT_PAGE_SIZE, MAX_PAGE_SIZE } from '../status/records.ts';
import type { Variables } from './variables.ts';

/** How much one document may ask for. Fragments count wherever they are spread. */
export interface OperationLimits {
  /** Lexical tokens: names, punctuators, values. */
  maxTokens: number;
  /** Selection sets within each other. */
  maxDepth: number;
  maxAliases: number;
  maxDirectives: number;
  /** The cost of an operation: see {@link MeasuredOperation}. */
  maxCost: number;
  /** References in one `_entities`, and elements of any list in the variables, equal ones counted. */
  maxReferences: number;
}

/** What an operation asks for; of depths the greatest. */
interface Size {
  depth: number;
  aliases: number;
  directives: number;
  /** Fields as they stand in the text. */
  fields: number;
  /** Fields as often as they can come in the answer. */
  values: number;
  /** The same, in points. */
  cost: number;
  /** A field that is for routers only; undefined: there is none. */
  routerField: string | undefined;
  /** Whether the schema is asked for. */
  introspects: boolean;
}

/** A field counts 1; one that can carry a payload, or a part of one, counts as much as this. */
const FIELD_COSTS: ReadonlyMap<string, number> = new Map([
  ['data', 10],
  ['dataAt', 10],
  ['failures', 10],
  ['successes', 10],
]);

/** How many elements the lists of the introspection hold, on the average, rounded up. */
export const INTROSPECTION_LISTS: ReadonlyMap<string, number> = new Map([
  ['types', 29],
  ['fields', 3],
  ['enumValues', 1],
  ['directives', 5],
]);

/**
 * Which limit a document exceeds, whatever its variables, in words for the client; undefined if none. One pass over
 * the document, before it is validated, and over each fragment once for each operation, however often and wherever
 * it is spread: so it takes a time in proportion to the text. It knows no schema and makes no exception: a fragment
 * that is named like a part of the introspection counts as any other.
 */
export function exceededLimit(document: DocumentNode, limits: OperationLimits): string | undefined {
  const size = sizeOf(document);
  if (size === undefined) return 'The fragments of the operation are spread in a circle.';
  if (size.depth > limits.maxDepth) {
    return `The operation is more than ${limits.maxDepth} levels deep.`;
  }
  if (size.aliases > limits.maxAliases) {
    return `The operation has more than ${limits.maxAliases} aliases.`;
  }
  if (size.directives > limits.maxDirectives) {
    return `The operation has more than ${limits.maxDirectives} directives.`;
  }
  if (size.cost > limits.maxCost) return `The operation costs more than ${limits.maxCost} points.`;
  return undefined;
}

/** The fields of a document's operations together, as they stand in the text; Infinity for a fragment cycle. */
export function fieldsOf(document: DocumentNode): number {
  return sizeOf(document)?.fields ?? Number.POSITIVE_INFINITY;
}

/** All operations together, at the least that their variables make of them; undefined for a fragment cycle. */
function sizeOf(document: DocumentNode): Size | undefined {
  try {
    new Measure(document, () => 1).checkFragments();
    const sizes = document.definitions
      .filter((definition) => definition.kind === Kind.OPERATION_DEFINITION)
      .map((operation) => new Measure(document, leastSize(operation)).operation(operation));
    return sizes.reduce(add, NOTHING);
  } catch (error) {
    if (error instanceof FragmentCycle) return undefined;
    throw error;
  }
}

/** What routers ask for, and nobody else may where a router has to show that it is one. */
const ROUTER_FIELDS: ReadonlySet<string> = new Set(['_entities', '_service']);

/**
 * One operation of a valid document, measured.
 *
 * Its cost is 1 point for a field, 10 for one that can carry a payload, and what is selected below a
 * list as often as it can come: below `failures` and `successes` `first` times, below `_entities` and `batchStatuses`
 * once for each reference or batch. At the least that its variables can make of it, that is known from the document alone.
 */
export class MeasuredOperation {
  /** The field of the operation that is for routers only; undefined: there is none. */
  readonly routerField: string | undefined;
  readonly #document: DocumentNode;
  readonly #operation: OperationDefinitionNode;
  readonly #limits: OperationLimits;
  /** The variables that are lists. */
  readonly #lists: readonly VariableDefinitionNode[];
  /** What it costs with those variables that make it cost most. */
  readonly greatestCost: number;
  /** The most values that an answer to it has; Infinity where nobody knows. */
  readonly maxValues: number;

  constructor(document: DocumentNode, operation: OperationDefinitionNode, limits: OperationLimits) {
    this.#document = document;
    this.#operation = operation;
    this.#limits = limits;
    this.#lists = (operation.variableDefinitions ?? []).filter(({ type }) => isList(type));
    const greatest = this.#measure(greatestSize(limits.maxReferences));
    this.routerField = greatest.routerField;
    this.greatestCost = greatest.cost;
    // Lists of the introspection are counted by their average.
    this.maxValues = greatest.introspects
      ? Number.POSITIVE_INFINITY
      : Math.min(greatest.values, limits.maxCost);
  }

  /**
   * Throws a {@link RefusedRequest} when a list in the variables is too long, or the operation costs too much with
   * them. Nothing of the variables is coerced for that.
   */
  check(variables: Variables): void {
    const { maxCost, maxReferences } = this.#limits;
    for (const { variable, type } of this.#lists) {
      const name = variable.name.value;
      if (lengthOfList(type, variables?.[name]) > maxReferences) {
        throw tooComplex(`The variable $${name} is a list of more than ${maxReferences} elements.`);
      }
    }
    if (this.greatestCost <= maxCost) return;
    if (this.#measure(sizeWith(this.#operation, variables)).cost > maxCost) {
      throw tooComplex(`The operation costs more than ${maxCost} points.`);
    }
  }

  #measure(listSize: ListSize): Size {
    return new Measure(this.#document, listSize).operation(this.#operation);
  }
}

function isList(type: TypeNode): boolean {
  return type.kind === Kind.NON_NULL_TYPE ? isList(type.type) : type.kind === Kind.LIST_TYPE;
}

/** The elements of a value for a list type, those of lists within it counted. */
function lengthOfList(type: TypeNode, value: unknown): number {
  if (type.kind === Kind.NON_NULL_TYPE) return lengthOfList(type.type, value);
  if (type.kind !== Kind.LIST_TYPE || !Array.isArray(value)) return 0;
  return value.reduce((sum, element) => sum + lengthOfList(type.type, element), value.length);
}

/** How many elements an argument asks for that is given so; undefined: it was left out. */
type ListSize = (value: ValueNode | undefined) => number;

/** Which argument of a field tells how many elements it will have. */
const SIZE_ARGUMENTS: ReadonlyMap<string, string> = new Map([
  ['failures', 'first'],
  ['successes', 'first'],
  ['_entities', 'representations'],
  ['batchStatuses', 'batches'],
]);

function greatestSize(maxReferences: number): ListSize {
  return (value) =>
    value?.kind === Kind.VARIABLE ? Math.max(MAX_PAGE_SIZE, maxReferences) : sizeOfLiteral(value);
}

/** A variable that is not known yet may ask for nothing. */
function leastSize(operation: OperationDefinitionNode): ListSize {
  return (value) =>
    value?.kind === Kind.VARIABLE && defaultOf(operation, value.name.value) === undefined
      ? 1
      : sizeWith(operation, undefined)(value);
}

function sizeWith(operation: OperationDefinitionNode, variables: Variables): ListSize {
  return (value) => {
    if (value?.kind !== Kind.VARIABLE) return sizeOfLiteral(value);
    const name = value.name.value;
    const given = variables && Object.hasOwn(variables, name) ? variables[name] : undefined;
    if (given === undefined) return sizeOfLiteral(defaultOf(operation, name));
    if (given === null) return DEFAULT_PAGE_SIZE;
    if (Array.isArray(given)) return given.length;
    return typeof given === 'number' ? toPageSize(given) : 1;
  };
}

function sizeOfLiteral(value: ValueNode | undefined): number {
  switch (value?.kind) {
    case undefined:
    case Kind.NULL:
      return DEFAULT_PAGE_SIZE;
    case Kind.INT:
      return toPageSize(Number(value.value));
    case Kind.LIST:
      return value.values.length;
    default:
      return 1;
  }
}

/** What is out of bounds is refused by the field itself. */
function toPageSize(first: number): number {
  return Math.min(Math.max(first, 1), MAX_PAGE_SIZE);
}

function defaultOf(operation: OperationDefinitionNode, name: string): ValueNode | undefined {
  return operation.variableDefinitions?.find(({ variable }) => variable.name.value === name)
    ?.defaultValue;
}

const NOTHING: Size = {
  depth: 0,
  aliases: 0,
  directives: 0,
  fields: 0,
  values: 0,
  cost: 0,
  routerField: undefined,
  introspects: false,
};

/** Thrown within a measure, for a fragment that contains itself. */
class FragmentCycle extends Error {}

/** Measures the operations of a document for one set of variables. Throws a {@link FragmentCycle}. */
class Measure {
  readonly #listSize: ListSize;
  readonly #fragments = new Map<string, FragmentDefinitionNode>();
  /** By name; a fragment that is being measured is 'open'. */
  readonly #measured = new Map<string, Size | 'open'>();

  constructor(document: DocumentNode, listSize: ListSize) {
    this.#listSize = listSize;
    for (const definition of document.definitions) {
      if (definition.kind === Kind.FRAGMENT_DEFINITION) {
        this.#fragments.set(definition.name.value, definition);
      }
    }
  }

  operation({ selectionSet, directives, variableDefinitions = [] }: OperationDefinitionNode): Size {
    const size = add(NOTHING, this.#selectionSet(selectionSet));
    const ofVariables = variableDefinitions.map((it) => lengthOf(it.directives));
    size.directives += ofVariables.reduce((sum, count) => sum + count, lengthOf(directives));
    return size;
  }

  /** Every fragment, also one that is not used: validation goes through it. */
  checkFragments(): void {
    for (const name of this.#fragments.keys()) this.#fragment(name);
  }

  #selectionSet(set: SelectionSetNode | undefined): Size {
    if (set === undefined) return NOTHING;
    const sum = this.#selections(set);
    sum.depth += 1;
    return sum;
  }

  #selections({ selections }: SelectionSetNode): Size {
    let sum = { ...NOTHING };
    for (const selection of selections) {
      sum = add(sum, this.#selection(selection));
      sum.directives += lengthOf(selection.directives);
    }
    return sum;
  }

  #selection(selection: SelectionNode): Size {
    switch (selection.kind) {
      case Kind.FIELD:
        return this.#field(selection);
      case Kind.INLINE_FRAGMENT:
        return this.#selectionSet(selection.selectionSet);
      case Kind.FRAGMENT_SPREAD:
        return this.#fragment(selection.name.value);
    }
  }

  #field(field: FieldNode): Size {
    const name = field.name.value;
    const inside = this.#selectionSet(field.selectionSet);
    const elements = this.#elementsOf(field);
    return {
      depth: inside.depth,
      aliases: inside.aliases + (field.alias === undefined ? 0 : 1),
      directives: inside.directives,
      fields: inside.fields + 1,
      values: 1 + elements * inside.values,
      cost: (FIELD_COSTS.get(name) ?? 1) + elements * inside.cost,
      routerField: ROUTER_FIELDS.has(name) ? name : inside.routerField,
      introspects: inside.introspects || name === '__schema' || name === '__type',
    };
  }

  #elementsOf({ name, arguments: given = [] }: FieldNode): number {
    const argument = SIZE_ARGUMENTS.get(name.value);
    if (argument === undefined) return INTROSPECTION_LISTS.get(name.value) ?? 1;
    return this.#listSize(given.find((it) => it.name.value === argument)?.value);
  }

  /** In the place of its spread: it is no level of its own. One that is not there is for validation. */
  #fragment(name: string): Size {
    const known = this.#measured.get(name);
    if (known === 'open') throw new FragmentCycle();
    if (known !== undefined) return known;
    const fragment = this.#fragments.get(name);
    if (fragment === undefined) return NOTHING;
    this.#measured.set(name, 'open');
    const size = this.#selections(fragment.selectionSet);
    size.directives += lengthOf(fragment.directives);
    this.#measured.set(name, size);
    return size;
  }
}

function add(a: Size, b: Size): Size {
  return {
    depth: Math.max(a.depth, b.depth),
    aliases: a.aliases + b.aliases,
    directives: a.directives + b.directives,
    fields: a.fields + b.fields,
    values: a.values + b.values,
    cost: a.cost + b.cost,
    routerField: a.routerField ?? b.routerField,
    introspects: a.introspects || b.introspects,
  };
}

function lengthOf(nodes: readonly unknown[] | undefined): number {
  return nodes?.length ?? 0;
}

/** So many errors tell enough of what is wrong with a document; each takes a time to be made. */
const MAX_VALIDATION_ERRORS = 20;

/**
 * Refuses a document that exceeds a limit, before anything of it is validated or run: a
 * {@link RefusedRequest} with OPERATION_TOO_COMPLEX and 400.
 */
export function useLimits(limits: OperationLimits): Plugin {
  const { maxTokens } = limits;
  return {
    onParse({ parseFn, setParseFn }) {
      setParseFn((source, options) => {
        try {
          return parseFn(source, { ...options, maxTokens });
        } catch (error) {
          if (isTokenLimit(error))
            throw tooComplex(`The document has more than ${maxTokens} tokens.`);
          // graphql's parser is recursive.
          throw error instanceof RangeError
            ? tooComplex('The document is nested too deep.')
            : error;
        }
      });
      return ({ result, replaceParseResult }) => {
        if (result === null || result instanceof Error) return;
        const exceeded = exceededLimit(result, limits);
        if (exceeded !== undefined) replaceParseResult(tooComplex(exceeded));
      };
    },
    onValidate({ validateFn, setValidationFn }) {
      const stoppedEarly: typeof validate = (schema, document, rules, options) =>
        validateFn(schema, document, rules, { ...options, maxErrors: MAX_VALIDATION_ERRORS });
      setValidationFn(stoppedEarly);
    },
  };
}

/** graphql tells it from other syntax errors by the text alone. */
function isTokenLimit(error: unknown): boolean {
  return error instanceof GraphQLError && error.message.endsWith('tokens. Parsing aborted.');
}

function tooComplex(message: string): RefusedRequest {
  return new RefusedRequest('OPERATION_TOO_COMPLEX', 400, message);
}
