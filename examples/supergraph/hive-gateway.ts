import { createServer } from 'node:http';
import { createGatewayRuntime } from '@graphql-hive/gateway-runtime';
import { renderGraphiQL } from '@graphql-yoga/render-graphiql';
import { listen } from './listen.ts';

/** Starts Hive Gateway on a port of loopback, 0 for a free one; resolves to its endpoint. */
export async function startHiveGateway(supergraph: string, port: number): Promise<string> {
  const gateway = createGatewayRuntime({
    supergraph,
    // GraphiQL with the query that the README shows, and from this host alone.
    renderGraphiQL,
    graphiql: { title: 'Supergraph' },
    landingPage: false,
    logging: false,
    // Subscriptions, too, which would go out as GET: participant-gateway takes that from browsers for a foreign page's.
    transportEntries: { '*.http': { options: { method: 'POST' } } },
    propagateHeaders: {
      // Who asks, and under which id: what the log of participant-gateway tells.
      fromClientToSubgraphs: ({ request }) =>
        Object.fromEntries(
          ['authorization', 'x-request-id'].flatMap((name) => {
            const value = request.headers.get(name);
            return value === null ? [] : [[name, value]];
          }),
        ),
    },
  });
  return `${await listen(createServer(gateway), port)}/graphql`;
}
