import { findRedis, REDIS_LIBRARIES } from '../../scripts/find-redis.ts';
import { freePort } from '../loopback.ts';
import { type Running, start } from '../processes.ts';
import type { Stage } from '../stage.ts';

/** A port for a redis-server that keeps nothing on disk. */
export async function findRedisPort(stage: Stage) {
  const redis = findRedis();
  if (redis === undefined) throw new Error('There is no redis-server: see `npm run test:prepare`.');
  const port = await freePort();
  const command = [redis, '--bind', '127.0.0.1', '--port', `${port}`, '--dir', stage.folder];
  return {
    url: `redis://127.0.0.1:${port}`,
    /** Starts it, empty. */
    start(): Running {
      return start([...command, '--save', '', '--appendonly', 'no'], {
        core: stage.loadCore,
        env: { LD_LIBRARY_PATH: REDIS_LIBRARIES, PATH: process.env['PATH'] ?? '' },
      });
    },
  };
}
