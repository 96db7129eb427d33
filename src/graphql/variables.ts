import {
  GraphQLError,
  type GraphQLSchema,
  getVariableValues,
  Kind,
  type OperationDefinitionNode,
  type TypeNode,
  type VariableDefinitionNode,
} from 'graphql';

/** The values that came for the variables of an operation. */
export type Variables = Readonly<Record<string, unknown>> | null | undefined;

const NO_FAULTS: readonly GraphQLError[] = [];

/** The variables of one operation. What depends on its definitions alone is found out once. */
export class OperationVariables {
  readonly #schema: GraphQLSchema;
  readonly #definitions: readonly VariableDefinitionNode[];
  /** Those that {@link faults} can be about. */
  readonly #suspects: readonly VariableDefinitionNode[];
  /** The names of all, where each is a text that is coerced to itself. */
  readonly #texts: readonly string[] | undefined;

  constructor(schema: GraphQLSchema, { variableDefinitions = [] }: OperationDefinitionNode) {
    this.#schema = schema;
    this.#definitions = variableDefinitions;
    this.#suspects = variableDefinitions.filter(
      ({ variable, type }) => variable.name.value === '__proto__' || isId(type),
    );
    this.#texts = variableDefinitions.every(isText)
      ? variableDefinitions.map(({ variable }) => variable.name.value)
      : undefined;
  }

  /**
   * Variables of which resolvers would get another value than was sent, without an error:
   *
   * - of type ID, or a list of them, an integer beyond 2^53 - 1: JavaScript rounds it while it reads the JSON,
   *   and an id that is rounded is somebody else's. (It cannot be a scalar of ours: Pothos takes `ID` from graphql.)
   * - one that is named `__proto__`: graphql loses its value
   */
  faults(values: Variables): readonly GraphQLError[] {
    if (this.#suspects.length === 0) return NO_FAULTS;
    const faults = this.#suspects.flatMap((definition) => {
      const fault = faultOf(definition, values?.[definition.variable.name.value]);
      return fault === undefined ? [] : new GraphQLError(fault, { nodes: definition });
    });
    return faults.length === 0 ? NO_FAULTS : faults;
  }

  /** The values as graphql coerces them; undefined where it finds errors. */
  coerce(values: Variables): Record<string, unknown> | undefined {
    return (
      this.#coerceTexts(values) ??
      getVariableValues(this.#schema, this.#definitions, values ?? {}).coerced
    );
  }

  /** The most common case without graphql's help; undefined for any other. */
  #coerceTexts(values: Variables): Record<string, unknown> | undefined {
    if (this.#texts === undefined) return undefined;
    const coerced: Record<string, unknown> = {};
    for (const name of this.#texts) {
      const value = values?.[name];
      if (typeof value !== 'string') return undefined;
      coerced[name] = value;
    }
    return coerced;
  }
}

function isText({ variable, type }: VariableDefinitionNode): boolean {
  const named = type.kind === Kind.NON_NULL_TYPE ? type.type : type;
  return (
    !(variable.name.value in Object.prototype) &&
    named.kind === Kind.NAMED_TYPE &&
    (named.name.value === 'String' || named.name.value === 'ID')
  );
}

function faultOf({ variable, type }: VariableDefinitionNode, value: unknown): string | undefined {
  const name = variable.name.value;
  if (name === '__proto__') return 'A variable cannot be named "__proto__": choose another name.';
  if (typeof value === 'string') return undefined;
  const unsafe = [value].flat(listLevels(type)).find(isUnsafeInteger);
  return unsafe === undefined
    ? undefined
    : `Variable "$${name}" got invalid value ${unsafe}; ID cannot represent an integer beyond 2^53 - 1 that comes as a number, because it is rounded on the way: send it as a string.`;
}

/** A list of lists of ids has two; what is nested deeper is no value of the type. */
function listLevels(type: TypeNode): number {
  if (type.kind === Kind.NAMED_TYPE) return 1;
  return listLevels(type.type) + (type.kind === Kind.LIST_TYPE ? 1 : 0);
}

function isId(type: TypeNode): boolean {
  return type.kind === Kind.NAMED_TYPE ? type.name.value === 'ID' : isId(type.type);
}

function isUnsafeInteger(value: unknown): boolean {
  return Number.isInteger(value) && !Number.isSafeInteger(value);
}
