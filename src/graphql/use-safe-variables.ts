import {
  GraphQLError,
  getOperationAST,
  Kind,
  type TypeNode,
  type VariableDefinitionNode,
} from 'graphql';
import type { Plugin } from 'graphql-yoga';

/**
 * Refuses variables of which resolvers would get another value than was sent, without an error:
 *
 * - of type ID, or a list of them, an integer beyond 2^53 - 1: JavaScript rounds it while it reads the JSON,
 *   and an id that is rounded is somebody else's. (It cannot be a scalar of ours: Pothos takes `ID` from graphql.)
 * - one that is named `__proto__`: graphql loses its value
 */
export function useSafeVariables(): Plugin {
  return {
    onExecute({ args, setResultAndStopExecution }) {
      const definitions = getOperationAST(args.document, args.operationName)?.variableDefinitions;
      if (definitions === undefined || definitions.length === 0) return;
      const errors = definitions.flatMap((definition) => {
        const fault = faultOf(definition, args.variableValues?.[definition.variable.name.value]);
        return fault === undefined ? [] : new GraphQLError(fault, { nodes: definition });
      });
      if (errors.length > 0) setResultAndStopExecution({ errors });
    },
  };
}

function faultOf({ variable, type }: VariableDefinitionNode, value: unknown): string | undefined {
  const name = variable.name.value;
  if (name === '__proto__') return 'A variable cannot be named "__proto__": take another name.';
  const unsafe = isId(type)
    ? [value].flat(Number.POSITIVE_INFINITY).find(isUnsafeInteger)
    : undefined;
  return unsafe === undefined
    ? undefined
    : `Variable "$${name}" got invalid value ${unsafe}; ID cannot represent an integer beyond 2^53 - 1 that comes as a number, because it is rounded on the way: send it as a string.`;
}

function isId(type: TypeNode): boolean {
  return type.kind === Kind.NAMED_TYPE ? type.name.value === 'ID' : isId(type.type);
}

function isUnsafeInteger(value: unknown): boolean {
  return Number.isInteger(value) && !Number.isSafeInteger(value);
}
