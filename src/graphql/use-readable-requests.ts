import { GraphQLError } from 'graphql';
import type { Plugin } from 'graphql-yoga';

/** What cannot be read is the client's mistake: 400, not a fault of the gateway. */
export function useReadableRequests(): Plugin {
  return {
    onRequestParse({ requestParser, setRequestParser }) {
      if (requestParser === undefined) return;
      setRequestParser(async (request) => {
        try {
          return await requestParser(request);
        } catch (error) {
          throw error instanceof SyntaxError ? unreadable('A parameter is not valid JSON.') : error;
        }
      });
    },
    onParse({ parseFn, setParseFn }) {
      setParseFn((source, options) => {
        try {
          return parseFn(source, options);
        } catch (error) {
          // graphql's parser is recursive.
          throw error instanceof RangeError
            ? unreadable('The document is nested too deep.')
            : error;
        }
      });
    },
  };
}

function unreadable(message: string): GraphQLError {
  return new GraphQLError(message, { extensions: { http: { status: 400 } } });
}
