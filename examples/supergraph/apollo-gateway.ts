import { ApolloGateway, RemoteGraphQLDataSource } from '@apollo/gateway';
import { ApolloServer } from '@apollo/server';
import { ApolloServerPluginLandingPageDisabled } from '@apollo/server/plugin/disabled';
import { startStandaloneServer } from '@apollo/server/standalone';

/**
 * Starts Apollo Gateway on a port of loopback, 0 for a free one; resolves to its endpoint. `secret` is
 * participant-gateway's FEDERATION_SECRET.
 */
export async function startApolloGateway(
  supergraphSdl: string,
  port: number,
  secret: string,
): Promise<string> {
  const gateway = new ApolloGateway({
    supergraphSdl,
    buildService: ({ name: subgraph, url = '' }) =>
      new RemoteGraphQLDataSource({
        url,
        // Who asks, and under which id: what the log of participant-gateway tells.
        willSendRequest({ request, context }) {
          const headers: Record<string, string> = context['headers'] ?? {};
          for (const [name, value] of Object.entries(headers)) {
            request.http?.headers.set(name, value);
          }
          // For it alone: other subgraphs have no business with it.
          if (subgraph === 'participants')
            request.http?.headers.set('router-authorization', secret);
        },
      }),
  });
  const server = new ApolloServer({
    gateway,
    // Its page comes from another host.
    plugins: [ApolloServerPluginLandingPageDisabled()],
    // Else each error has a stack trace while NODE_ENV is not production.
    includeStacktraceInErrorResponses: false,
  });
  const { url } = await startStandaloneServer(server, {
    listen: { host: '127.0.0.1', port },
    context: async ({ req }) => ({
      headers: Object.fromEntries(
        ['authorization', 'x-request-id'].flatMap((name) => {
          const value = req.headers[name];
          return typeof value === 'string' ? [[name, value]] : [];
        }),
      ),
    }),
  });
  return url;
}
