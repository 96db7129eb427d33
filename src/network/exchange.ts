import type { IncomingHttpHeaders } from 'node:http';
import { Agent, errors } from 'undici';
import type { Clock } from '../clock.ts';

/** One HTTP request, ready to be sent. */
export interface ExchangeRequest {
  method: 'GET' | 'POST';
  url: URL;
  headers: Record<string, string>;
  body?: string;
}

/** Its answer, read to the end. */
export interface ExchangeResponse {
  status: number;
  headers: IncomingHttpHeaders;
  /** Decoded as UTF-8. */
  body: string;
}

/**
 * Sends one request and reads its whole answer. Rejects with a {@link NetworkError}, or with the
 * reason of `signal` when that aborts. Redirects are answers like any other: they are not followed.
 */
export type Exchange = (request: ExchangeRequest, signal: AbortSignal) => Promise<ExchangeResponse>;

/**
 * Why there is no answer to work with:
 * - `unreachable`: name not found, refused, reset before or within the answer
 * - `timeout`: the time limit of one exchange passed
 * - `too-large`: the body is longer than allowed
 * - `malformed`: not HTTP, ended before its end, or encoded in a way that was not asked for
 */
export type NetworkErrorKind = 'unreachable' | 'timeout' | 'too-large' | 'malformed';

/** An exchange that failed below the level of HTTP statuses. */
export class NetworkError extends Error {
  override readonly name = 'NetworkError';
  readonly kind: NetworkErrorKind;

  constructor(kind: NetworkErrorKind, message: string, options?: ErrorOptions) {
    super(message, options);
    this.kind = kind;
  }
}

export interface NetworkOptions {
  clock: Clock;
  /** Connections to one origin; further requests wait for one, within their time limit. */
  maxConnections: number;
  /** Time limit of one exchange, from the call to the last byte of the body, waiting included. */
  timeoutMs: number;
  /** The longest body that is read. */
  maxBodyBytes: number;
}

/** A bounded pool of kept-alive connections. */
export interface Network {
  exchange: Exchange;
  /** Ends all connections; exchanges under way fail. */
  close(): Promise<void>;
}

/** Opens no connection before the first exchange. HTTP/1.1 only, one request at a time on a connection. */
export function createNetwork(options: NetworkOptions): Network {
  const { clock, maxConnections, timeoutMs, maxBodyBytes } = options;
  const agent = new Agent({
    connections: maxConnections,
    pipelining: 1,
    allowH2: false,
    connect: { timeout: timeoutMs },
    // The one time limit of an exchange is below; these would only cut it into parts.
    headersTimeout: 0,
    bodyTimeout: 0,
  });

  return {
    async exchange(request, signal) {
      signal.throwIfAborted();
      const abort = new AbortController();
      const giveUp = () => abort.abort(signal.reason);
      signal.addEventListener('abort', giveUp, { once: true });
      let begun = false;
      const cancelTimer = clock.after(timeoutMs, () =>
        abort.abort(new NetworkError('timeout', `no whole answer within ${timeoutMs} ms`)),
      );
      try {
        const response = await agent.request({
          origin: request.url.origin,
          path: request.url.pathname + request.url.search,
          method: request.method,
          headers: request.headers,
          body: request.body ?? null,
          signal: abort.signal,
        });
        begun = true;
        // A body that is given up emits an error besides the one that is thrown here.
        response.body.on('error', () => {});
        const encoding = response.headers['content-encoding'];
        if (encoding && String(encoding).toLowerCase() !== 'identity') {
          response.body.destroy();
          throw new NetworkError(
            'malformed',
            'the answer has a content-encoding that was not asked for',
          );
        }
        const body = await readBounded(response.body, maxBodyBytes);
        return { status: response.statusCode, headers: response.headers, body };
      } catch (error) {
        throw abort.signal.aborted ? abort.signal.reason : toNetworkError(error, begun);
      } finally {
        cancelTimer();
        signal.removeEventListener('abort', giveUp);
      }
    },
    close: () => agent.destroy(),
  };
}

/** Leaving the loop early destroys the stream, and with it the connection. */
async function readBounded(body: AsyncIterable<Buffer>, maxBytes: number): Promise<string> {
  const chunks: Buffer[] = [];
  let length = 0;
  for await (const chunk of body) {
    length += chunk.length;
    if (length > maxBytes) {
      throw new NetworkError('too-large', `the answer is longer than ${maxBytes} bytes`);
    }
    chunks.push(chunk);
  }
  return Buffer.concat(chunks, length).toString('utf8');
}

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
  if (begun && error instanceof errors.SocketError) {
    return new NetworkError('malformed', 'the answer was cut off: the server ended the connection');
  }
  return new NetworkError('unreachable', `the connection failed (${code})`, { cause: error });
}
