import { GraphQLError, type validate } from 'graphql';
import type { Plugin } from 'graphql-yoga';
import { type OperationLimits, passedLimit } from './limits.ts';
import { RefusedRequest } from './refused-request.ts';

/** So many errors tell enough of what is wrong with a document; each takes a time to be made. */
const MAX_VALIDATION_ERRORS = 20;

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
