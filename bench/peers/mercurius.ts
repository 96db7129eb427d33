/** Mercurius on Fastify with its compiler on; with CACHE=on also mercurius-cache. */
import { fastify } from 'fastify';
import { mercurius } from 'mercurius';
import mercuriusCache from 'mercurius-cache';
import { announce, cached, RESOLVERS, SDL } from './support.ts';

const app = fastify();
await app.register(mercurius, {
  schema: SDL,
  resolvers: RESOLVERS,
  jit: 1,
});
if (cached) {
  await app.register(mercuriusCache.default, { ttl: 1, policy: { Query: { batchStatus: true } } });
}
announce(new URL(await app.listen({ host: '127.0.0.1', port: 0 })).port);
