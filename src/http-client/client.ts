import { Agent } from 'undici';
import type { Clock } from '../lib/clock.ts';
import { HttpClientError } from './errors.ts';
import { type HttpResponse, ResponseCollector } from './response-collector.ts';
import { createSemaphore } from './semaphore.ts';

/** One HTTP request, ready to be sent. */
export interface HttpRequest {
  method: 'GET' | 'POST';
  /** A `URL`, or the parts of one that are well-formed already: parsing costs more than the rest. */
  url: { readonly origin: string; readonly pathname: string; readonly search: string };
  headers: Record<string, string>;
  body?: string;
}

/**
 * Sends one request and reads its whole answer. Rejects with a {@link HttpClientError}, or with the
 * reason of `signal` when that aborts. Redirects are answers like any other: they are not followed.
 * `onSend` is called when there is a connection for it, or one is opened; `onConnected`, when it goes out over one.
 */
export type Send = (
  request: HttpRequest,
  signal: AbortSignal,
  onSend?: () => void,
  onConnected?: () => void,
) => Promise<HttpResponse>;

interface HttpClientOptions {
  clock: Clock;
  /** Calls at a time, and so connections; further ones wait in order, within their time limit. */
  maxConnections: number;
  /** Time limit of one call, from the call to the end of decoding the body, waiting included. */
  timeoutMs: number;
  /** The longest body that is read, as it is sent and as it is decoded. */
  maxBodyBytes: number;
}

/** A bounded pool of kept-alive connections. */
export interface HttpClient {
  send: Send;
  /**
   * Lets calls under way end, and uses none of the connections again among which the one of an answer
   * was. Returns false, and does nothing, if that was done already, or within the last second: what may come with
   * each answer must not cost a pool of connections each time.
   */
  renewConnections(via: unknown): boolean;
  /** Ends all connections; calls under way fail. */
  close(): Promise<void>;
}

const RENEWAL_INTERVAL_MS = 1_000;

/** Opens no connection before the first call. HTTP/1.1 only, one request at a time on a connection. */
export function createHttpClient(options: HttpClientOptions): HttpClient {
  const { clock, maxConnections, timeoutMs, maxBodyBytes } = options;
  const createAgent = () =>
    new Agent({
      connections: maxConnections,
      // More gains nothing measurable (docs/performance.md), and a slow answer would hold up others.
      pipelining: 1,
      allowH2: false,
      connect: { timeout: timeoutMs },
      // The one time limit of a call is below; these would only cut it into parts.
      headersTimeout: 0,
      bodyTimeout: 0,
    });
  let agent = createAgent();
  let renewableFrom = 0;
  const retired = new Set<Agent>();
  const semaphore = createSemaphore(maxConnections);

  return {
    send: ({ method, url, headers, body }, signal, onSend, onConnected) =>
      new Promise((resolve, reject) => {
        signal.throwIfAborted();
        const begin = () => {
          if (collector.isSettled) return;
          onSend?.();
          const path = url.pathname + url.search;
          collector.via = agent;
          agent.dispatch(
            { origin: url.origin, path, method, headers, body: body ?? null },
            collector,
          );
        };
        const permit = semaphore.enter(begin);
        const giveUp = () => collector.fail(signal.reason);
        const cancelTimer = clock.after(timeoutMs, () =>
          collector.fail(new HttpClientError('timeout', `no whole answer within ${timeoutMs} ms`)),
        );
        const collector = new ResponseCollector(maxBodyBytes, {
          resolve,
          reject,
          connected: onConnected,
          settled() {
            cancelTimer();
            signal.removeEventListener('abort', giveUp);
            semaphore.leave(permit);
          },
        });
        signal.addEventListener('abort', giveUp);
        if (permit.isHeld) begin();
      }),
    renewConnections(via) {
      if (via !== agent || clock.now() < renewableFrom) return false;
      renewableFrom = clock.now() + RENEWAL_INTERVAL_MS;
      // Nothing waits in it, so it ends with the calls that are under way.
      const old = agent;
      retired.add(old);
      void old.close().then(() => retired.delete(old));
      agent = createAgent();
      return true;
    },
    async close() {
      await Promise.all([agent, ...retired].map((each) => each.destroy()));
    },
  };
}
