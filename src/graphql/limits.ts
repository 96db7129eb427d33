import {
  type DocumentNode,
  type FragmentDefinitionNode,
  GraphQLError,
  Kind,
  type SelectionNode,
  type SelectionSetNode,
  type validate,
} from 'graphql';
import type { Plugin } from 'graphql-yoga';
import { RefusedRequest } from '../core/errors.ts';

/** How much one document may ask for. Fragments count wherever they are spread. */
export interface OperationLimits {
  /** Lexical tokens: names, punctuators, values. */
  maxTokens: number;
  /** Selection sets within each other. */
  maxDepth: number;
  maxAliases: number;
  maxDirectives: number;
  /** Fields, of which some count more: see {@link FIELD_COSTS}. */
  maxCost: number;
}

/** What a document asks for, all its operations together; of depths the greatest. */
interface Size {
  depth: number;
  aliases: number;
  directives: number;
  cost: number;
}

/** A field counts 1; one that can carry a payload, or a part of one, counts as much as this. */
const FIELD_COSTS: ReadonlyMap<string, number> = new Map([
  ['data', 10],
  ['dataAt', 10],
  ['failures', 10],
  ['successes', 10],
]);

/**
 * Which limit a document exceeds, in words for the client; undefined if none. One pass over the
 * document, before it is validated, and over each fragment only once, however often and wherever it
 * is spread: so it takes a time in proportion to the text. It knows no schema and makes no exception:
 * a fragment that is named like a part of the introspection counts as any other.
 */
export function exceededLimit(document: DocumentNode, limits: OperationLimits): string | undefined {
  const size = new Measure(document).document();
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

/** The points of a document's operations together; Infinity for a fragment cycle. */
export function costOf(document: DocumentNode): number {
  return new Measure(document).document()?.cost ?? Number.POSITIVE_INFINITY;
}

const NOTHING: Size = { depth: 0, aliases: 0, directives: 0, cost: 0 };

/** Thrown within a measure, for a fragment that contains itself. */
class FragmentCycle extends Error {}

class Measure {
  readonly #document: DocumentNode;
  readonly #fragments = new Map<string, FragmentDefinitionNode>();
  /** By name; a fragment that is being measured is 'open'. */
  readonly #measured = new Map<string, Size | 'open'>();

  constructor(document: DocumentNode) {
    this.#document = document;
    for (const definition of document.definitions) {
      if (definition.kind === Kind.FRAGMENT_DEFINITION) {
        this.#fragments.set(definition.name.value, definition);
      }
    }
  }

  /** Undefined for a fragment cycle. */
  document(): Size | undefined {
    try {
      let sum = NOTHING;
      for (const definition of this.#document.definitions) {
        if (definition.kind === Kind.FRAGMENT_DEFINITION) {
          // Also one that is not used: validation goes through it.
          this.#fragment(definition.name.value);
        } else if (definition.kind === Kind.OPERATION_DEFINITION) {
          const variables = definition.variableDefinitions ?? [];
          const ofVariables = variables.reduce((count, it) => count + lengthOf(it.directives), 0);
          sum = add(sum, this.#selectionSet(definition.selectionSet));
          sum.directives += lengthOf(definition.directives) + ofVariables;
        }
      }
      return sum;
    } catch (error) {
      if (error instanceof FragmentCycle) return undefined;
      throw error;
    }
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
      case Kind.FIELD: {
        const own = {
          depth: 0,
          aliases: selection.alias === undefined ? 0 : 1,
          directives: 0,
          cost: FIELD_COSTS.get(selection.name.value) ?? 1,
        };
        return add(own, this.#selectionSet(selection.selectionSet));
      }
      case Kind.INLINE_FRAGMENT:
        return this.#selectionSet(selection.selectionSet);
      case Kind.FRAGMENT_SPREAD:
        return this.#fragment(selection.name.value);
    }
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
    cost: a.cost + b.cost,
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
