import { createServer } from 'node:http';
import { createGatewayRuntime } from '@graphql-hive/gateway-runtime';
import { renderGraphiQL } from '@graphql-yoga/render-graphiql';
import { listen } from './listen.ts';

/**
 * Starts Hive Gateway on a port of loopback, 0 for a free one; resolves to its endpoint. `secret` is
 * participant-gateway's FEDERATION_SECRET.
 */
export async function startHiveGateway(
  supergraph: string,
  port: number,
  secret: string,
): Promise<string> {
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
      fromClientToSubgraphs: ({ request, subgraphName }) => ({
        // Who asks, and under which id: what the log of participant-gateway tells.
        ...Object.fromEntries(
          ['authorization', 'x-request-id'].flatMap((name) => {
            const value = request.headers.get(name);
            return value === null ? [] : [[name, value]];
          }),
        ),
        // For it alone: other subgraphs have no business with it.
        ...(subgraphName === 'participants' && { 'router-authorization': secret }),
      }),
    },
  });
  return `${await listen(createServer(gateway), port)}/graphql`;
}
