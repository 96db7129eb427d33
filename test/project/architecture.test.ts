import { readdir, readFile } from 'node:fs/promises';
import { expect, test } from 'vitest';

const SRC = new URL('../../src/', import.meta.url);

async function sources(): Promise<[path: string, text: string][]> {
  const paths = (await readdir(SRC, { recursive: true })).filter((path) => path.endsWith('.ts'));
  return Promise.all(
    paths.toSorted().map(async (path) => [path, await readFile(new URL(path, SRC), 'utf8')]),
  );
}

/** The files in which a pattern occurs. */
async function filesWith(pattern: RegExp): Promise<string[]> {
  return (await sources()).filter(([, text]) => pattern.test(text)).map(([path]) => path);
}

test('circuit breakers and retry budgets have one owner, which has one caller, and one file makes it', async () => {
  expect(await filesWith(/\bbreaker\.(?:begin|waitMs|state)\(/)).toEqual(['upstream/circuits.ts']);
  expect(await filesWith(/\bcreate(?:CircuitBreaker|RetryBudget)\(\{?\s*\w/)).toEqual([
    'upstream/circuit-breaker.ts',
    'upstream/circuits.ts',
    'upstream/retry-budget.ts',
  ]);
  expect(await filesWith(/\bcircuits\.\w+\(/)).toEqual(['upstream/participant-service.ts']);
  expect(await filesWith(/upstream\/circuits\.ts'/)).toEqual(['tenants/services.ts']);
  expect(await filesWith(/'\.\/circuits\.ts'/)).toEqual(['upstream/participant-service.ts']);
});

test('an answer of the upstream is decoded in one place, and an error becomes public in one', async () => {
  expect(await filesWith(/\bdecode(?:Success|Error)Envelope\(/)).toEqual([
    'upstream/envelope.ts',
    'upstream/response.ts',
  ]);
  expect(await filesWith(/\bERROR_CODES\[/)).toEqual(['graphql/errors.ts']);
});

test('a key under which something is kept is made in one place per cache', async () => {
  for (const [name, paths] of [
    ['responseKey', ['graphql/response-cache.ts']],
    ['batchStatusKey', ['status/follow.ts', 'status/service.ts']],
    ['subscriptionKey', ['graphql/live-operations.ts']],
    ['rateKey', ['server/guards/rate-limit.ts']],
    ['accessTokenKey', ['auth/access-token.ts']],
    ['sharedStatusKey', ['status/shared-statuses.ts']],
    ['sharedRateKey', ['server/guards/rate-limit.ts']],
  ] as const) {
    expect(await filesWith(new RegExp(`\\b${name}\\(`))).toEqual(paths);
  }
});
