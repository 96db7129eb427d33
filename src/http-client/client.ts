import type { buildConnector } from 'undici';
import createConnector from 'undici/lib/core/connect.js';
import Pool from 'undici/lib/dispatcher/pool.js';
import { Cancellation, type CancelSignal } from '../lib/cancellation.ts';
import type { Clock } from '../lib/clock.ts';
import { Deadlines, type Expiring } from '../lib/deadlines.ts';
import { HttpClientError } from './errors.ts';
import { dispatchByNode } from './node-dispatch.ts';
import { type HttpResponse, ResponseCollector, type Waiter } from './response-collector.ts';
import type { FindRoute, Route } from './route.ts';
import { Semaphore, type Work } from './semaphore.ts';

/** One HTTP request, ready to be sent. */
export interface HttpRequest {
  method: 'GET' | 'POST';
  /** A `URL`, or the parts of one that are well-formed already: parsing costs more than the rest. */
  url: { readonly origin: string; readonly pathname: string; readonly search: string };
  /** By name; or names and values in turn, which is faster. */
  headers: Record<string, string> | string[];
  body?: string | Uint8Array;
}

/** Is told how far a request gets. */
export interface SendObserver {
  /** There is a connection for it, or one is opened. */
  sent(): void;
  /** It goes out over a connection. */
  connected(): void;
}

/**
 * Sends one request and reads its whole answer. Rejects with a {@link HttpClientError}, or with the
 * reason of `signal` when that aborts. Redirects are answers like any other: they are not followed.
 */
export type Send = (
  request: HttpRequest,
  signal: CancelSignal,
  observer?: SendObserver,
) => Promise<HttpResponse>;

interface HttpClientOptions {
  clock: Clock;
  /** Calls at a time, and so connections; further ones wait in order, within their time limit. */
  maxConnections: number;
  /** Time limit of one call, from the call to the end of decoding the body, waiting included. */
  timeoutMs: number;
  /** The longest body that is read, as it is sent and as it is decoded. */
  maxBodyBytes: number;
  /** By default every origin is reached straight, and no certificate is shown. */
  findRoute?: FindRoute;
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
  /** Connections that are open now: with a request under way, and without. */
  connections(): { readonly active: number; readonly idle: number };
  /** Ends all connections; calls under way fail. */
  close(): Promise<void>;
}

const RENEWAL_INTERVAL_MS = 1_000;

/** Opens no connection before the first call. HTTP/1.1 only, one request at a time on a connection. */
export function createHttpClient(options: HttpClientOptions): HttpClient {
  const { clock, maxConnections, timeoutMs, maxBodyBytes, findRoute } = options;
  const connectors = new Map<string, buildConnector.connector>();
  const connectorOf = (origin: string) => {
    const known = connectors.get(origin);
    const connector = known ?? toConnector(findRoute?.(new URL(origin)), timeoutMs);
    connectors.set(origin, connector);
    return connector;
  };
  const createPool = (origin: string) =>
    new Pool(origin, {
      connections: maxConnections,
      // More gains nothing measurable (docs/performance.md), and a slow answer would hold up others.
      pipelining: 1,
      allowH2: false,
      connect: connectorOf(origin),
      // The one time limit of a call is below; these would only cut it into parts.
      headersTimeout: 0,
      bodyTimeout: 0,
    });
  let connections = new Connections(createPool);
  let renewableFrom = 0;
  const retired = new Set<Connections>();
  const bounds: Bounds = {
    semaphore: new Semaphore(maxConnections),
    deadlines: new Deadlines(clock),
    timeoutMs,
    maxBodyBytes,
    connections: () => connections,
    connectorOf,
    closing: new Cancellation(),
  };

  return {
    send(request, signal, observer) {
      if (signal.aborted) return Promise.reject(signal.reason);
      return new Promise((resolve, reject) => {
        const deadline = clock.now() + timeoutMs;
        const call = new Call(bounds, request, deadline, { signal, observer, resolve, reject });
        bounds.semaphore.enter(call);
      });
    },
    renewConnections(via) {
      if (via !== connections || clock.now() < renewableFrom) return false;
      renewableFrom = clock.now() + RENEWAL_INTERVAL_MS;
      // Nothing waits in it, so it ends with the calls that are under way.
      const old = connections;
      retired.add(old);
      void old.close().then(() => retired.delete(old));
      connections = new Connections(createPool);
      return true;
    },
    connections() {
      const stats = [connections, ...retired].flatMap((each) => each.stats());
      const open = stats.reduce((sum, { connected }) => sum + connected, 0);
      const idle = stats.reduce((sum, { free }) => sum + free, 0);
      return { active: open - idle, idle };
    },
    async close() {
      bounds.closing.abort(undefined);
      await Promise.all([connections, ...retired].map((each) => each.destroy()));
    },
  };
}

/** How connections are opened. What a proxy needs is loaded when the first connection through one is opened. */
function toConnector(route: Route | undefined, timeout: number): buildConnector.connector {
  const { proxy, certificate } = route ?? {};
  const options = { timeout, allowH2: false, ...certificate };
  if (proxy === undefined) return createConnector(options);
  let connector: Promise<buildConnector.connector> | undefined;
  return (target, callback) => {
    connector ??= import('./tunnel.ts').then((tunnel) =>
      tunnel.createTunnelConnector(proxy, options),
    );
    connector.then(
      (connect) => connect(target, callback),
      (error: Error) => callback(error, null),
    );
  };
}

/** Connections that are renewed together: a pool for each origin. */
class Connections {
  readonly #createPool: (origin: string) => Pool;
  readonly #pools = new Map<string, Pool>();

  constructor(createPool: (origin: string) => Pool) {
    this.#createPool = createPool;
  }

  to(origin: string): Pool {
    let pool = this.#pools.get(origin);
    if (pool === undefined) {
      pool = this.#createPool(origin);
      this.#pools.set(origin, pool);
      this.#letGoWhenIdle(origin, pool);
    }
    return pool;
  }

  /** A pool without connections is let go: there can be many, and each takes 16 KiB. */
  #letGoWhenIdle(origin: string, pool: Pool): void {
    pool.on('disconnect', () => {
      const { connected, size } = pool.stats;
      if (connected > 0 || size > 0 || pool.closed || pool.destroyed) return;
      this.#pools.delete(origin);
      void pool.close();
    });
  }

  stats(): Pool['stats'][] {
    return [...this.#pools.values()].map((pool) => pool.stats);
  }

  /** Lets the calls under way end. */
  async close(): Promise<void> {
    await Promise.all([...this.#pools.values()].map((pool) => pool.close()));
  }

  async destroy(): Promise<void> {
    await Promise.all([...this.#pools.values()].map((pool) => pool.destroy()));
  }
}

/** What all calls of a client have in common. */
interface Bounds {
  readonly semaphore: Semaphore;
  readonly deadlines: Deadlines;
  readonly timeoutMs: number;
  readonly maxBodyBytes: number;
  /** The connections for calls that begin now. */
  connections(): Connections;
  /** Opens a connection. */
  readonly connectorOf: (origin: string) => buildConnector.connector;
  /** Aborts when the client closes. */
  readonly closing: Cancellation;
}

/** Who wants the answer of a call. */
interface Caller extends Pick<Waiter, 'resolve' | 'reject'> {
  readonly signal: CancelSignal;
  readonly observer: SendObserver | undefined;
}

/** One request, from when it waits for a permit until it is settled. */
class Call implements Waiter, Work, Expiring {
  readonly deadline: number;
  readonly #bounds: Bounds;
  readonly #request: HttpRequest;
  readonly #caller: Caller;
  readonly #collector: ResponseCollector;
  readonly #slot: number;
  readonly #giveUp = () => this.#collector.fail(this.#caller.signal.reason);

  constructor(bounds: Bounds, request: HttpRequest, deadline: number, caller: Caller) {
    this.deadline = deadline;
    this.#bounds = bounds;
    this.#request = request;
    this.#caller = caller;
    this.#collector = new ResponseCollector(bounds.maxBodyBytes, this);
    caller.signal.addEventListener('abort', this.#giveUp);
    this.#slot = bounds.deadlines.add(this);
  }

  begin(): void {
    if (this.#collector.isSettled) return;
    this.#caller.observer?.sent();
    const { method, url, headers, body = null } = this.#request;
    const connections = this.#bounds.connections();
    this.#collector.via = connections;
    const path = url.pathname + url.search;
    connections.to(url.origin).dispatch({ path, method, headers, body }, this.#collector);
  }

  beginAgain(): void {
    const { connectorOf, closing } = this.#bounds;
    const connect = connectorOf(this.#request.url.origin);
    dispatchByNode(this.#request, this.#collector, { connect, closing });
  }

  expire(): void {
    const { timeoutMs } = this.#bounds;
    this.#collector.fail(new HttpClientError('timeout', `no whole answer within ${timeoutMs} ms`));
  }

  connected(): void {
    this.#caller.observer?.connected();
  }

  settled(): void {
    this.#bounds.deadlines.delete(this.#slot);
    this.#caller.signal.removeEventListener('abort', this.#giveUp);
    this.#bounds.semaphore.leave(this);
  }

  resolve(response: HttpResponse): void {
    this.#caller.resolve(response);
  }

  reject(reason: unknown): void {
    this.#caller.reject(reason);
  }
}
