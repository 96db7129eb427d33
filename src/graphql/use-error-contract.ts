import { type ExecutionResult, type GraphQLError, getOperationAST } from 'graphql';
import type { Plugin } from 'graphql-yoga';
import type { Log } from '../log.ts';
import { ClientGoneError, type RequestScope, type ScopeContext } from './context.ts';
import { type ErrorDetail, rootCause, toGraphQLError } from './to-graphql-error.ts';

export interface ErrorContractOptions {
  log: Log;
  errorDetail: ErrorDetail;
}

/**
 * Holds every answer to the error contract, whichever step of the pipeline an error comes from:
 * each has a code of the closed set and a requestId (that of the failing upstream call, else of this
 * request). What was masked is logged with its cause. Also notes the codes and the operation's name
 * in the request's report.
 */
export function useErrorContract(
  options: ErrorContractOptions,
): Plugin<ScopeContext, ScopeContext> {
  return {
    onExecute({ args, context }) {
      const operation = getOperationAST(args.document, args.operationName);
      context.scope.report.operationName = operation?.name?.value ?? null;
    },
    onResultProcess({ result, setResult, serverContext }) {
      // Batches and incremental delivery are off, so there is one result.
      if (Array.isArray(result) || Symbol.asyncIterator in result) return;
      setResult(presentErrors(result, serverContext.scope, options));
    },
  };
}

/** The result with its errors as clients may see them; for an answer that Yoga's HTTP layer does not give. */
export function presentErrors(
  result: ExecutionResult,
  scope: RequestScope,
  { log, errorDetail }: ErrorContractOptions,
): ExecutionResult {
  if (result.errors === undefined) return result;
  const { requestId, report } = scope;
  const presented = result.errors.map((error) => {
    const shown = toGraphQLError(error, errorDetail);
    shown.extensions['requestId'] ??= requestId;
    const cause = rootCause(shown);
    // The client is gone: nobody reads this answer, and nothing is wrong with the gateway.
    if (cause instanceof ClientGoneError && cause === scope.signal.reason) return shown;
    const code = String(shown.extensions['code']);
    report.errorCodes.push(code);
    if (code === 'INTERNAL_SERVER_ERROR') {
      log.error({ requestId, path: shown.path, err: cause }, 'masked error');
    }
    return shown;
  });
  return { ...result, errors: presented.sort(byPlace) };
}

/** Execution has them as they happen, which can be another order each time: so, as they stand in the document. */
function byPlace(a: GraphQLError, b: GraphQLError): number {
  const [{ line, column }, other] = [placeOf(a), placeOf(b)];
  return line - other.line || column - other.column || comparePaths(a.path ?? [], b.path ?? []);
}

function placeOf({ locations }: GraphQLError): { line: number; column: number } {
  return locations?.[0] ?? { line: 0, column: 0 };
}

/** Errors of one field are in different elements of lists, or below different aliases of one fragment. */
function comparePaths(a: readonly (string | number)[], b: readonly (string | number)[]): number {
  const at = a.findIndex((key, index) => key !== b[index]);
  const [key, other] = [a[at] ?? 0, b[at] ?? 0];
  if (typeof key === 'number' && typeof other === 'number') return key - other;
  return String(key) < String(other) ? -1 : 1;
}
