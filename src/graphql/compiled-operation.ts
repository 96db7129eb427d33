import {
  type DocumentNode,
  type ExecutionResult,
  type GraphQLSchema,
  getVariableValues,
  Kind,
  type OperationDefinitionNode,
  OperationTypeNode,
  type ValueNode,
  visit,
} from 'graphql';
import { compileQuery, isCompiledQuery } from 'graphql-jit';
import { fieldsOf } from './limits.ts';

/** What an operation is run with. */
interface ExecutionInput {
  contextValue?: unknown;
  variableValues?: { readonly [name: string]: unknown } | null | undefined;
}

/**
 * Runs an operation. Resolves to its result, or to undefined where the ordinary executor has to run it:
 * there is an error in it, and errors are the executor's own.
 */
export type CompiledOperation = (input: ExecutionInput) => Promise<ExecutionResult | undefined>;

/**
 * Compiles one operation of a valid document with graphql-jit; undefined where it cannot, or is not known to
 * give the very answer of the ordinary executor ({@link isCompilable}).
 */
export function compileOperation(
  schema: GraphQLSchema,
  document: DocumentNode,
  operation: OperationDefinitionNode,
): CompiledOperation | undefined {
  if (operation.operation !== OperationTypeNode.QUERY || !isCompilable(document)) return undefined;
  const compiled = compileQuery(schema, document, operation.name?.value);
  if (!isCompiledQuery(compiled)) return undefined;
  const definitions = operation.variableDefinitions ?? [];
  return async ({ contextValue, variableValues }) => {
    // By graphql itself: graphql-jit has coercions of its own for the scalars of the specification.
    const variables = getVariableValues(schema, definitions, variableValues ?? {});
    if (variables.coerced === undefined) return undefined;
    const result = await compiled.query(undefined, contextValue, variables.coerced);
    return result.errors === undefined ? result : undefined;
  };
}

/** Compiling takes about 0.1 ms for each field: more than a caller should be able to ask for. */
const MAX_FIELDS = 100;

/**
 * Whether graphql-jit is known to answer as the ordinary executor does. It goes wrong, without an error, over
 *
 * - conditions: it keeps those of `@skip` and `@include` on the nodes of fragments, which several spreads share
 * - names that objects inherit (`__proto__`, `constructor`), because it writes names into object literals
 * - lists and objects as arguments, whose variables it drops
 * - texts that begin with one of its marks (`__MAGIC_DATE__…`): what follows that mark, it runs as code
 *
 * So a document is compiled only if it has no directive, no such name, no argument that is a list or an object,
 * and no text with two underscores in a row; nor if it would take too long.
 */
export function isCompilable(document: DocumentNode): boolean {
  let compilable = fieldsOf(document) <= MAX_FIELDS;
  visit(document, {
    Directive() {
      compilable = false;
    },
    Name({ value }) {
      if (value in Object.prototype) compilable = false;
    },
    Argument({ value }) {
      compilable &&= isPlain(value);
    },
    VariableDefinition({ defaultValue }) {
      compilable &&= defaultValue === undefined || isPlain(defaultValue);
    },
  });
  return compilable;
}

function isPlain(value: ValueNode): boolean {
  if (value.kind === Kind.STRING) return !value.value.includes('__');
  return value.kind !== Kind.LIST && value.kind !== Kind.OBJECT;
}
