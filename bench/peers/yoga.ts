/** Yoga as it comes; with CACHE=on also its response cache. */
import { createServer } from 'node:http';
import { useResponseCache } from '@graphql-yoga/plugin-response-cache';
import { createSchema, createYoga } from 'graphql-yoga';
import { listen } from './listen.ts';
import { type BatchStatusArguments, cached, fetchBatchStatus, SDL } from './support.ts';

const yoga = createYoga({
  schema: createSchema({
    typeDefs: SDL,
    resolvers: {
      Query: {
        batchStatus: (_root: unknown, key: BatchStatusArguments) => fetchBatchStatus(key),
      },
    },
  }),
  logging: false,
  plugins: cached ? [useResponseCache({ session: () => null, ttl: 1_000 })] : [],
});

listen(createServer(yoga));
