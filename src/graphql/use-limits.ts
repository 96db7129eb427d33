import { GraphQLError } from 'graphql';
import type { Plugin } from 'graphql-yoga';
import { type OperationLimits, passedLimit } from './limits.ts';
import { RefusedRequest } from './refused-request.ts';

/**
 * Refuses a document that passes a limit, before anything of it is validated or run: a
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
        const passed = passedLimit(result, limits);
        if (passed !== undefined) replaceParseResult(tooComplex(passed));
      };
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
