import {
  type DocumentNode,
  type ExecutionResult,
  type GraphQLSchema,
  Kind,
  type OperationDefinitionNode,
  OperationTypeNode,
  type ValueNode,
  visit,
} from 'graphql';
import { fieldsOf } from './limits.ts';

/**
 * Runs an operation with variables that are coerced. Its result is right where there is no error in it: errors are
 * the ordinary executor's own.
 */
export type CompiledOperation = (
  contextValue: unknown,
  variables: Record<string, unknown>,
) => ExecutionResult | Promise<ExecutionResult>;

/**
 * Compiles one operation of a valid document with graphql-jit; undefined where it cannot, or is not known to
 * give the very answer of the ordinary executor ({@link isCompilable}). Variables are coerced by graphql itself
 * before: graphql-jit has coercions of its own for the scalars of the specification. It is loaded when it is needed
 * first: so a start does not wait for it.
 */
export async function compileOperation(
  schema: GraphQLSchema,
  document: DocumentNode,
  operation: OperationDefinitionNode,
): Promise<CompiledOperation | undefined> {
  if (operation.operation !== OperationTypeNode.QUERY || !isCompilable(document)) return undefined;
  const { compileQuery, isCompiledQuery } = await import('graphql-jit');
  const compiled = compileQuery(schema, document, operation.name?.value);
  if (!isCompiledQuery(compiled)) return undefined;
  return (contextValue, variables) => compiled.query(undefined, contextValue, variables);
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
