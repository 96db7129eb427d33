/**
 * Apollo Server, standalone, as its documentation recommends where no framework is given. With
 * CACHE=on the upstream is called through Apollo's REST data source, whose HTTP cache keeps answers.
 */
import { RESTDataSource } from '@apollo/datasource-rest';
import { ApolloServer } from '@apollo/server';
import { startStandaloneServer } from '@apollo/server/standalone';
import { fetch } from 'undici';
import {
  announce,
  type BatchStatus,
  type BatchStatusArguments,
  cached,
  type Envelope,
  fetchBatchStatus,
  pathOf,
  pool,
  SDL,
  upstream,
  upstreamHeaders,
} from './support.ts';

class ParticipantService extends RESTDataSource {
  override baseURL = upstream.origin;

  async batchStatus(key: BatchStatusArguments): Promise<BatchStatus> {
    const { data, request } = await this.get<Envelope>(pathOf(key), {
      headers: upstreamHeaders(),
      cacheOptions: { ttl: 1 },
    });
    return { participantType: key.participantType, data, request };
  }
}

interface Context {
  getBatchStatus: (key: BatchStatusArguments) => Promise<BatchStatus>;
}

const server = new ApolloServer<Context>({
  typeDefs: SDL,
  resolvers: {
    Query: {
      batchStatus: (_root: unknown, key: BatchStatusArguments, { getBatchStatus }: Context) =>
        getBatchStatus(key),
    },
  },
});
const { url } = await startStandaloneServer(server, {
  listen: { host: '127.0.0.1', port: 0 },
  context: async () => {
    if (!cached) return { getBatchStatus: fetchBatchStatus };
    const service = new ParticipantService({
      cache: server.cache,
      fetch: (address, init) => fetch(address, { ...init, dispatcher: pool }),
    });
    return { getBatchStatus: (key) => service.batchStatus(key) };
  },
});
announce(new URL(url).port);
