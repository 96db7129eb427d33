/** Yoga as it comes; with CACHE=on also its response cache. */
import { createServer } from 'node:http';
import { useResponseCache } from '@graphql-yoga/plugin-response-cache';
import { createSchema, createYoga } from 'graphql-yoga';
import { listen } from './listen.ts';
import { cached, RESOLVERS, SDL } from './support.ts';

const yoga = createYoga({
  schema: createSchema({ typeDefs: SDL, resolvers: RESOLVERS }),
  logging: false,
  plugins: cached ? [useResponseCache({ session: () => null, ttl: 1_000 })] : [],
});

listen(createServer(yoga));
