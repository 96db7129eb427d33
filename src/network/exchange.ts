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
 */
export type Exchange = (request: ExchangeRequest, signal: AbortSignal) => Promise<ExchangeResponse>;

export interface NetworkOptions {
  clock: Clock;
  /** Connections to one origin; further requests wait for one, within their time limit. */
  maxConnections: number;
  /** Time limit of one exchange, from the call to the last byte of the body, waiting included. */
  timeoutMs: number;
  /** The longest body that is read, as it is sent and as it is decoded. */
  maxBodyBytes: number;
}

/** A bounded pool of kept-alive connections. */
export interface Network {
  exchange: Exchange;
  /** Lets exchanges under way end, and uses none of their connections again. */
  renewConnections(): void;
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

  return {
    exchange: ({ method, url, headers, body }, signal) =>
      new Promise((resolve, reject) => {
        signal.throwIfAborted();
        const giveUp = () => receiver.fail(signal.reason);
        const timeLimit = () =>
          receiver.fail(new NetworkError('timeout', `no whole answer within ${timeoutMs} ms`));
        const cancelTimer = clock.after(timeoutMs, timeLimit);
        const receiver = new Receiver(maxBodyBytes, {
          resolve,
          reject,
          settled() {
            cancelTimer();
            signal.removeEventListener('abort', giveUp);
          },
        });
        signal.addEventListener('abort', giveUp);
        const path = url.pathname + url.search;
        agent.dispatch({ origin: url.origin, path, method, headers, body: body ?? null }, receiver);
      }),
    renewConnections() {
      void agent.close();
      agent = createAgent();
    },
    close: () => agent.destroy(),
  };
}

interface Outcome {
  resolve(response: ExchangeResponse | Promise<ExchangeResponse>): void;
  reject(reason: unknown): void;
  /** Called once, before one of the others. */
  settled(): void;
}

/**
 * Takes in one answer from undici. Its `dispatch` with a handler, because `request`, with a stream for
 * the body and a signal for each call, costs half as much again for answers of a few hundred bytes.
 */
class Receiver implements Dispatcher.DispatchHandler {
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
    const [status, headers] = [this.#status, this.#headers];
    const answer = (body: Buffer) => ({ status, headers, body: body.toString('utf8') });
    const encoding = headerOf(headers, 'content-encoding');
    this.#settle()?.resolve(
      encoding ? decodeContent(whole, encoding, this.#maxBodyBytes).then(answer) : answer(whole),
    );
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
  if (error instanceof errors.SocketError && (begun || UNWANTED.test(error.message))) {
    return new NetworkError('malformed', 'the answer was cut off, or is none');
  }
  return new NetworkError('unreachable', `the connection failed (${code})`, { cause: error });
}
