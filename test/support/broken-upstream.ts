import { expect } from 'vitest';
import { startFaultProxy } from './fault-proxy.ts';
import { startScriptedUpstream } from './scripted-upstream.ts';
import { TestClock } from './test-clock.ts';
import { startTestGateway, UUID } from './test-gateway.ts';

export const QUERY = `query Status($batchId: ID) {
  batchStatus(participantType: "vehicles", batchId: $batchId) { id status stale fetchedAt }
}`;

/** A gateway behind a proxy, on a clock that stands still; it has asked for one batch, `first`. */
export async function startBroken(environment: Record<string, string> = {}) {
  const clock = new TestClock();
  const stack = new AsyncDisposableStack();
  const upstream = stack.use(await startScriptedUpstream());
  const proxy = stack.use(await startFaultProxy(upstream.url, clock));
  const gateway = stack.use(await startTestGateway({ upstream: proxy, clock, environment }));
  const ask = (batchId: string, signal?: AbortSignal) =>
    clock.elapse(gateway.query(QUERY, { batchId }, signal));
  await ask('first');
  return {
    clock,
    upstream,
    proxy,
    gateway,
    ask,
    /** Lets calls fail until the circuit is open. */
    async breakCircuit() {
      for (let index = 0; index < 10; index += 1) await ask(`broken-${index}`);
      expect(circuitLog(gateway.logLines)).toEqual(['circuit open: the upstream fails']);
    },
    async readiness() {
      const response = await fetch(new URL('/readyz', gateway.url));
      return { status: response.status, body: await response.json() };
    },
    [Symbol.asyncDispose]: () => stack.disposeAsync(),
  };
}

export type BrokenGateway = Awaited<ReturnType<typeof startBroken>>;

export function circuitLog(lines: readonly string[]): string[] {
  return lines.map((line) => JSON.parse(line).msg).filter((msg) => msg.startsWith('circuit'));
}

export function status(batchId: string, fetchedAt: unknown = expect.any(String), stale = false) {
  const batchStatus = { id: `vehicles/${batchId}`, status: 'IN_PROGRESS', stale, fetchedAt };
  return { status: 200, body: { data: { batchStatus } } };
}

export function failure(message: string, extensions: object) {
  const error = {
    message,
    locations: [{ line: 2, column: 3 }],
    path: ['batchStatus'],
    extensions: { requestId: UUID, retryable: true, ...extensions },
  };
  return { status: 200, body: { data: { batchStatus: null }, errors: [error] } };
}

const HELD = { code: 'UPSTREAM_UNAVAILABLE', retryAfterMs: expect.any(Number) };
/** No connection can be had. */
export const OPEN = failure(
  'The Participant Service fails: the gateway waits a moment before it asks again.',
  HELD,
);
/** The upstream fails for the participant type that is asked for. */
export const OPEN_FOR_TYPE = failure(
  'The Participant Service fails for this participant type: the gateway waits a moment before it asks again.',
  HELD,
);
