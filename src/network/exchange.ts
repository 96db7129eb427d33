import { Agent, type Dispatcher, errors } from 'undici';
import type { Clock } from '../clock.ts';
import { decodeContent } from './content-encoding.ts';
import { NetworkError, tooLarge } from './network-error.ts';

/** One HTTP request, ready to be sent. */
export interface ExchangeRequest {
  method: 'GET' | 'POST';
  /** A `URL`, or the parts of one that are well-formed already: parsing costs more than the rest. */
  url: { readonly origin: string; readonly pathname: string; readonly search: string };
  headers: Record<string, string>;
  body?: string;
}

/** Its answer, read to the end. */
export interface ExchangeResponse {
  status: number;
  headers: ResponseHeaders;
  /** Without its content-encodings; read as UTF-8. */
  body: string;
  /** The connections among which its own was, for {@link Network.renewConnections}. */
  via?: unknown;
}

/** By name, in lower case; a header that came more than once is a list. */
export type ResponseHeaders = Readonly<Record<string, string | string[] | undefined>>;

/** A header as one text: of several lines a list with commas (RFC 9110, section 5.2). */
export function headerOf(headers: ResponseHeaders, name: string): string | undefined {
  const value = headers[name];
  return Array.isArray(value) ? value.join(', ') : value;
}

/**
 * Sends one request and reads its whole answer. Rejects with a {@link NetworkError}, or with the
 * reason of `signal` when that aborts. Redirects are answers like any other: they are not followed.
 * `onSend` is called when there is a connection for it, or one is opened.
 */
export type Exchange = (
  request: ExchangeRequest,
  signal: AbortSignal,
  onSend?: () => void,
) => Promise<ExchangeResponse>;

export interface NetworkOptions {
  clock: Clock;
  /** Exchanges at a time, and so connections; further ones wait in order, within their time limit. */
  maxConnections: number;
  /** Time limit of one exchange, from the call to the end of decoding the body, waiting included. */
  timeoutMs: number;
  /** The longest body that is read, as it is sent and as it is decoded. */
  maxBodyBytes: number;
}

/** A bounded pool of kept-alive connections. */
export interface Network {
  exchange: Exchange;
  /**
   * Lets exchanges under way end, and uses none of the connections again among which the one of an answer
   * was. Does nothing if that was done already.
   */
  renewConnections(via: unknown): void;
  /** Ends all connections; exchanges under way fail. */
  close(): Promise<void>;
}

/** Opens no connection before the first exchange. HTTP/1.1 only, one request at a time on a connection. */
export function createNetwork(options: NetworkOptions): Network {
  const { clock, maxConnections, timeoutMs, maxBodyBytes } = options;
  const createAgent = () =>
    new Agent({
      connections: maxConnections,
      // More gains nothing measurable (docs/performance.md), and a slow answer would hold up others.
      pipelining: 1,
      allowH2: false,
      connect: { timeout: timeoutMs },
      // The one time limit of an exchange is below; these would only cut it into parts.
      headersTimeout: 0,
      bodyTimeout: 0,
    });
  let agent = createAgent();
  const retired = new Set<Agent>();
  const places = createPlaces(maxConnections);

  return {
    exchange: ({ method, url, headers, body }, signal, onSend) =>
      new Promise((resolve, reject) => {
        signal.throwIfAborted();
        const send = () => {
          if (receiver.isSettled) return;
          onSend?.();
          const path = url.pathname + url.search;
          receiver.via = agent;
          agent.dispatch(
            { origin: url.origin, path, method, headers, body: body ?? null },
            receiver,
          );
        };
        const place = places.enter(send);
        const giveUp = () => receiver.fail(signal.reason);
        const cancelTimer = clock.after(timeoutMs, () =>
          receiver.fail(new NetworkError('timeout', `no whole answer within ${timeoutMs} ms`)),
        );
        const receiver = new Receiver(maxBodyBytes, {
          resolve,
          reject,
          settled() {
            cancelTimer();
            signal.removeEventListener('abort', giveUp);
            places.leave(place);
          },
        });
        signal.addEventListener('abort', giveUp);
        if (place.taken) send();
      }),
    renewConnections(via) {
      if (via !== agent) return;
      // Nothing waits in it, so it ends with the exchanges that are under way.
      const old = agent;
      retired.add(old);
      void old.close().then(() => retired.delete(old));
      agent = createAgent();
    },
    async close() {
      await Promise.all([agent, ...retired].map((each) => each.destroy()));
    },
  };
}

interface Outcome {
  resolve(response: ExchangeResponse): void;
  reject(reason: unknown): void;
  /** Called once, before one of the others. */
  settled(): void;
}

/** One of a bounded number of places, or a wait for one. */
interface Place {
  taken: boolean;
  /** Called when there is one after a wait. */
  readonly begin: () => void;
}

/*
 * The pool of undici has a queue, too. It is not used: what waits in there would go out over connections
 * that are to be renewed, and look as if it had been sent.
 */
function createPlaces(count: number) {
  let free = count;
  const waiting = new Set<Place>();

  return {
    enter(begin: () => void): Place {
      const place = { taken: free > 0, begin };
      if (place.taken) free -= 1;
      else waiting.add(place);
      return place;
    },
    /** Gives the place to who has waited longest, or ends the wait for it. To be called once. */
    leave(place: Place): void {
      if (waiting.delete(place)) return;
      const [next] = waiting;
      if (next === undefined) {
        free += 1;
        return;
      }
      waiting.delete(next);
      next.taken = true;
      // Not from here: should it fail at once, the one after it would begin within, and so on.
      queueMicrotask(next.begin);
    },
  };
}

/**
 * Takes in one answer from undici. Its `dispatch` with a handler, because `request`, with a stream for
 * the body and a signal for each call, costs half as much again for answers of a few hundred bytes.
 */
class Receiver implements Dispatcher.DispatchHandler {
  via: unknown;
  readonly #maxBodyBytes: number;
  #outcome: Outcome | undefined;
  #controller: Dispatcher.DispatchController | undefined;
  #status = 0;
  #headers: ResponseHeaders = {};
  #chunks: Buffer[] = [];
  #length = 0;

  constructor(maxBodyBytes: number, outcome: Outcome) {
    this.#maxBodyBytes = maxBodyBytes;
    this.#outcome = outcome;
  }

  get isSettled(): boolean {
    return this.#outcome === undefined;
  }

  /** Ends the exchange, and with it the connection, or its place in the queue for one. */
  fail(reason: unknown): void {
    this.#settle()?.reject(reason);
    this.#controller?.abort(new Error('the answer is not wanted any more'));
  }

  onRequestStart(controller: Dispatcher.DispatchController): void {
    this.#controller = controller;
    if (this.#outcome === undefined) controller.abort(new Error('given up while it was queued'));
  }

  onResponseStart(_: unknown, status: number, headers: ResponseHeaders): void {
    this.#status = status;
    this.#headers = headers;
  }

  onResponseData(_: unknown, chunk: Buffer): void {
    this.#length += chunk.length;
    if (this.#length > this.#maxBodyBytes) {
      this.fail(tooLarge(this.#maxBodyBytes));
    } else {
      this.#chunks.push(chunk);
    }
  }

  onResponseEnd(): void {
    const [first] = this.#chunks;
    const whole =
      first && this.#chunks.length === 1 ? first : Buffer.concat(this.#chunks, this.#length);
    const encoding = headerOf(this.#headers, 'content-encoding');
    if (encoding === undefined || whole.length === 0) {
      this.#answer(whole);
      return;
    }
    decodeContent(whole, encoding, this.#maxBodyBytes).then(
      (decoded) => this.#answer(decoded),
      (error: unknown) => {
        // What a refusal says beside its status is not worth more than the status.
        if (this.#status >= 400) this.#answer(Buffer.alloc(0));
        else this.#settle()?.reject(error);
      },
    );
  }

  #answer(body: Buffer): void {
    const [status, headers] = [this.#status, this.#headers];
    this.#settle()?.resolve({ status, headers, body: body.toString('utf8'), via: this.via });
  }

  onResponseError(_: unknown, error: unknown): void {
    this.#settle()?.reject(toNetworkError(error, this.#status !== 0));
  }

  #settle(): Outcome | undefined {
    const outcome = this.#outcome;
    this.#outcome = undefined;
    outcome?.settled();
    return outcome;
  }
}

/** undici's words for 100 Continue and 101 Switching Protocols, which nobody asked for. */
const UNWANTED = /^bad (?:response|upgrade)$/;

/** Of this machine or process: no descriptor, port or memory is left. */
const EXHAUSTED: ReadonlySet<string> = new Set([
  'EMFILE',
  'ENFILE',
  'EADDRNOTAVAIL',
  'ENOBUFS',
  'ENOMEM',
]);

/** `begun`: the head of the answer is there. */
function toNetworkError(error: unknown, begun: boolean): NetworkError {
  if (error instanceof NetworkError) return error;
  const code = error instanceof Error && 'code' in error ? String(error.code) : 'unknown';
  if (error instanceof errors.ConnectTimeoutError) {
    return new NetworkError('timeout', 'no connection in time');
  }
  if (
    error instanceof errors.HTTPParserError ||
    error instanceof errors.HeadersOverflowError ||
    error instanceof errors.ResponseContentLengthMismatchError
  ) {
    // Not passed on as the cause: a parser error carries bytes of the answer.
    return new NetworkError('malformed', `the answer is not HTTP (${code})`);
  }
  if (EXHAUSTED.has(code)) {
    return new NetworkError('exhausted', `no connection can be opened (${code})`);
  }
  if (error instanceof errors.SocketError && (begun || UNWANTED.test(error.message))) {
    return new NetworkError('malformed', 'the answer was cut off, or is none');
  }
  return new NetworkError('unreachable', `the connection failed (${code})`, { cause: error });
}
