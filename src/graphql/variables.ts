import {
  GraphQLError,
  Kind,
  type OperationDefinitionNode,
  type TypeNode,
  type VariableDefinitionNode,
} from 'graphql';

/**
 * Variables of which resolvers would get another value than was sent, without an error:
 *
 * - of type ID, or a list of them, an integer beyond 2^53 - 1: JavaScript rounds it while it reads the JSON,
 *   and an id that is rounded is somebody else's. (It cannot be a scalar of ours: Pothos takes `ID` from graphql.)
 * - one that is named `__proto__`: graphql loses its value
 */
export function faultsOfVariables(
  { variableDefinitions = [] }: OperationDefinitionNode,
  variables: Readonly<Record<string, unknown>> | null | undefined,
): readonly GraphQLError[] {
  return variableDefinitions.flatMap((definition) => {
    const fault = faultOf(definition, variables?.[definition.variable.name.value]);
    return fault === undefined ? [] : new GraphQLError(fault, { nodes: definition });
  });
}

function faultOf({ variable, type }: VariableDefinitionNode, value: unknown): string | undefined {
  const name = variable.name.value;
  if (name === '__proto__') return 'A variable cannot be named "__proto__": choose another name.';
  const unsafe = isId(type) ? [value].flat(listLevels(type)).find(isUnsafeInteger) : undefined;
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
