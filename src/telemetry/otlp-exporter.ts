import type { Telemetry } from '../core/telemetry.ts';
import type { Clock } from '../lib/clock.ts';

export interface ExporterOptions {
  /** Sends a body of JSON to the collector. Rejects within a bounded time where there is no answer. */
  post(body: Uint8Array): Promise<{ readonly status: number }>;
  clock: Clock;
  telemetry: Pick<Telemetry, 'tracesFailed' | 'tracesBack'>;
  /** Who made the spans, `Resource` and `InstrumentationScope` of OTLP/JSON. */
  resource: object;
  scope: object;
}

/** How long a span may wait for others to be sent with. */
const SEND_INTERVAL_MS = 1_000;
/** Of a message, unless one span alone is longer. */
const MESSAGE_BYTES = 128 * 1024;
/** Full messages that wait for the one before; those beyond are dropped. */
const MAX_WAITING_MESSAGES = 32;
/** A character of UTF-16 takes so many bytes at most. */
const MAX_BYTES_PER_CHARACTER = 3;
const COMMA = ','.charCodeAt(0);
/** The end of a message, behind its spans. */
const TAIL = ']}]}]}';

/**
 * Sends spans by OTLP/HTTP as JSON (https://opentelemetry.io/docs/specs/otlp/#json-protobuf-encoding), one message at a
 * time: when it is full, or a second after its first span. Spans wait as bytes, which the garbage collector need not
 * look after. Those that the collector does not take, or not in time, are lost: none is sent twice. The first failure
 * is told, and that it is over, with how many were lost.
 */
export class OtlpExporter {
  readonly #options: ExporterOptions;
  /** The beginning of a message, before its spans. */
  readonly #head: string;
  /** To which spans are added. */
  #open: Message | undefined;
  #openIsDue = false;
  #isTimed = false;
  readonly #full: Message[] = [];
  /** Memory of the last message that was sent: to write into memory that is new costs many times as much. */
  #spare: Buffer<ArrayBuffer> | undefined;
  #sending: Promise<void> | undefined;
  #lostSpans = 0;

  constructor(options: ExporterOptions) {
    const { resource, scope } = options;
    const scopeSpans = [{ scope, spans: [] }];
    this.#options = options;
    this.#head = JSON.stringify({ resourceSpans: [{ resource, scopeSpans }] }).slice(
      0,
      -TAIL.length,
    );
  }

  /** `span` is a `Span` of OTLP/JSON. */
  add(span: string): void {
    if (this.#open?.add(span)) return;
    if (this.#open !== undefined) this.#setAside(this.#open);
    this.#open = new Message(this.#head, span, this.#spare);
    this.#spare = undefined;
    if (!this.#isTimed) this.#sendSoon();
  }

  /** Resolves when all spans are sent, or lost. */
  async close(): Promise<void> {
    this.#openIsDue = true;
    this.#sendNext();
    while (this.#sending !== undefined) await this.#sending;
  }

  #setAside(message: Message): void {
    if (this.#full.length < MAX_WAITING_MESSAGES) this.#full.push(message);
    else this.#lose(message.spans, 'the collector does not take them as fast as they come');
    this.#sendNext();
  }

  #sendSoon(): void {
    this.#isTimed = true;
    this.#options.clock.after(SEND_INTERVAL_MS, () => {
      this.#isTimed = false;
      this.#openIsDue = true;
      this.#sendNext();
    });
  }

  #sendNext(): void {
    if (this.#sending !== undefined) return;
    const message = this.#full.shift() ?? this.#takeOpen();
    if (message === undefined) return;
    this.#sending = this.#send(message).then(() => {
      this.#sending = undefined;
      this.#sendNext();
    });
  }

  #takeOpen(): Message | undefined {
    if (!this.#openIsDue) return undefined;
    const open = this.#open;
    this.#open = undefined;
    this.#openIsDue = false;
    return open;
  }

  async #send(message: Message): Promise<void> {
    const failure = await this.#options.post(message.end()).then(
      ({ status }) =>
        status >= 200 && status <= 299 ? undefined : `the collector answered ${status}`,
      (error: unknown) => (error instanceof Error ? error.message : 'no answer'),
    );
    if (failure !== undefined) {
      this.#lose(message.spans, failure);
      return;
    }
    // Before it has been taken, it may be on its way still.
    if (message.memory.length === MESSAGE_BYTES) this.#spare = message.memory;
    if (this.#lostSpans > 0 && this.#full.length === 0) {
      this.#options.telemetry.tracesBack?.({ lostSpans: this.#lostSpans });
      this.#lostSpans = 0;
    }
  }

  #lose(spans: number, reason: string): void {
    if (this.#lostSpans === 0) this.#options.telemetry.tracesFailed?.({ reason });
    this.#lostSpans += spans;
  }
}

/** A message to the collector, while it is put together. */
class Message {
  readonly memory: Buffer<ArrayBuffer>;
  spans = 0;
  #length: number;

  /** In `memory`, unless that is too short. */
  constructor(head: string, first: string, memory = Buffer.allocUnsafeSlow(MESSAGE_BYTES)) {
    const longest = longestOf(head) + longestOf(first) + 1 + TAIL.length;
    this.memory = longest > memory.length ? Buffer.allocUnsafeSlow(longest) : memory;
    this.#length = this.memory.write(head);
    this.add(first);
  }

  /** False: there is no room. */
  add(span: string): boolean {
    const longest = 1 + longestOf(span) + TAIL.length;
    if (this.#length + longest > this.memory.length) return false;
    if (this.spans > 0) {
      this.memory[this.#length] = COMMA;
      this.#length += 1;
    }
    this.#length += this.memory.write(span, this.#length);
    this.spans += 1;
    return true;
  }

  /** All of it. To be called once. */
  end(): Uint8Array {
    this.#length += this.memory.write(TAIL, this.#length);
    return this.memory.subarray(0, this.#length);
  }
}

function longestOf(text: string): number {
  return MAX_BYTES_PER_CHARACTER * text.length;
}
