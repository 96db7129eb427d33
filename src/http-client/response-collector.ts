import type { Dispatcher } from 'undici';
import errors from 'undici/lib/core/errors.js';
import { ByteCollector } from '../lib/byte-collector.ts';
import { decodeContent } from './content-encoding.ts';
import { HttpClientError, tooLarge } from './errors.ts';

/** An answer, read to the end. */
export interface HttpResponse {
  status: number;
  headers: ResponseHeaders;
  /** Without its content-encodings; read as UTF-8. */
  body: string;
  /** The connections among which its own was, for `HttpClient.renewConnections`. */
  via?: unknown;
}

/** By name, in lower case; a header that came more than once is a list. */
type ResponseHeaders = Readonly<Record<string, string | string[] | undefined>>;

/** A header as one text: of several lines a list with commas (RFC 9110, section 5.2). */
export function headerOf(headers: ResponseHeaders, name: string): string | undefined {
  const value = headers[name];
  return Array.isArray(value) ? value.join(', ') : value;
}

/** Who waits for an answer. */
export interface Waiter {
  /** Called when there is a connection, and the request goes out over it. */
  connected(): void;
  /** Called when undici gave up the connection because of a 100 Continue: the answer is to come another way. */
  beginAgain(): void;
  resolve(response: HttpResponse): void;
  reject(reason: unknown): void;
  /** Called once, before one of the others. */
  settled(): void;
}

/**
 * Takes in one answer from undici. Its `dispatch` with a handler, because `request`, with a stream for
 * the body and a signal for each call, costs half as much again for answers of a few hundred bytes.
 */
export class ResponseCollector implements Dispatcher.DispatchHandler {
  via: unknown;
  readonly #maxBodyBytes: number;
  #waiter: Waiter | undefined;
  #controller: Pick<Dispatcher.DispatchController, 'abort'> | undefined;
  #status = 0;
  #headers: ResponseHeaders = {};
  readonly #body: ByteCollector;

  constructor(maxBodyBytes: number, waiter: Waiter) {
    this.#maxBodyBytes = maxBodyBytes;
    this.#body = new ByteCollector(maxBodyBytes);
    this.#waiter = waiter;
  }

  get isSettled(): boolean {
    return this.#waiter === undefined;
  }

  /** Ends the call, and with it the connection, or the wait for one. */
  fail(reason: unknown): void {
    this.#settle()?.reject(reason);
    this.#controller?.abort(UNWANTED_ANSWER);
  }

  onRequestStart(controller: Pick<Dispatcher.DispatchController, 'abort'>): void {
    this.#controller = controller;
    if (this.#waiter === undefined) controller.abort(new Error('given up while it was queued'));
    else this.#waiter.connected();
  }

  onResponseStart(_: unknown, status: number, headers: ResponseHeaders): void {
    this.#status = status;
    this.#headers = headers;
    // Not to be begun with.
    if (Number(headers['content-length']) > this.#maxBodyBytes) {
      this.fail(tooLarge(this.#maxBodyBytes));
    }
  }

  onResponseData(_: unknown, chunk: Buffer): void {
    if (!this.#body.add(chunk)) this.fail(tooLarge(this.#maxBodyBytes));
  }

  onResponseEnd(): void {
    const encoding = headerOf(this.#headers, 'content-encoding');
    if (encoding === undefined || this.#body.parts === 0) {
      this.#answer(this.#body.text());
      return;
    }
    decodeContent(this.#body.bytes(), encoding, this.#maxBodyBytes).then(
      (decoded) => this.#answer(decoded.toString('utf8')),
      (error: unknown) => {
        // What a refusal says beside its status is not worth more than the status.
        if (this.#status >= 400) this.#answer('');
        else this.#settle()?.reject(error);
      },
    );
  }

  #answer(body: string): void {
    const [status, headers] = [this.#status, this.#headers];
    this.#settle()?.resolve({ status, headers, body, via: this.via });
  }

  onResponseError(_: unknown, error: unknown): void {
    if (this.#waiter !== undefined && isContinue(error)) this.#waiter.beginAgain();
    else this.#settle()?.reject(toNetworkError(error, this.#status !== 0));
  }

  #settle(): Waiter | undefined {
    const waiter = this.#waiter;
    this.#waiter = undefined;
    waiter?.settled();
    return waiter;
  }
}

/** Nobody is told it, so one is enough. */
const UNWANTED_ANSWER = new Error('the answer is not wanted any more');

/** undici's words for 100 Continue, which nobody asked for. */
function isContinue(error: unknown): boolean {
  return error instanceof errors.SocketError && error.message === 'bad response';
}

/** And for 101 Switching Protocols. */
const UNWANTED = 'bad upgrade';

/** Of this machine or process: no descriptor, port or memory is left. */
const EXHAUSTED: ReadonlySet<string> = new Set([
  'EMFILE',
  'ENFILE',
  'EADDRNOTAVAIL',
  'ENOBUFS',
  'ENOMEM',
]);

/** `begun`: the head of the answer is there. */
function toNetworkError(error: unknown, begun: boolean): HttpClientError {
  if (error instanceof HttpClientError) return error;
  const code = error instanceof Error && 'code' in error ? String(error.code) : 'unknown';
  if (error instanceof errors.ConnectTimeoutError) {
    return new HttpClientError('timeout', 'no connection in time');
  }
  if (
    error instanceof errors.HTTPParserError ||
    code.startsWith('HPE_') ||
    error instanceof errors.HeadersOverflowError ||
    error instanceof errors.ResponseContentLengthMismatchError
  ) {
    // Not passed on as the cause: a parser error carries bytes of the answer.
    return new HttpClientError('malformed', `the answer is not HTTP (${code})`);
  }
  if (EXHAUSTED.has(code)) {
    return new HttpClientError('exhausted', `no connection can be opened (${code})`);
  }
  if (error instanceof errors.SocketError && (begun || error.message === UNWANTED)) {
    return new HttpClientError('malformed', 'the answer was cut off, or is none');
  }
  return new HttpClientError('unreachable', `the connection failed (${code})`, { cause: error });
}
