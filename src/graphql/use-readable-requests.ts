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
          if (!(error instanceof SyntaxError)) throw error;
          throw new GraphQLError('A parameter is not valid JSON.', {
            extensions: { http: { status: 400 } },
          });
        }
      });
    },
  };
}
