import type { SpanReference } from '../core/request-trace.ts';
import type { Clock } from '../lib/clock.ts';
import { createSpanId, type TraceContext } from './trace-context.ts';

/** Of `SpanKind` in OTLP. */
export const SPAN_KIND = { internal: 1, server: 2, client: 3 } as const;

/** An attribute as OTLP/JSON has it, with a comma in front, so that several are one text. */
export type AttributeText = string;

/** Texts are cut to that. */
const MAX_TEXT_LENGTH = 256;

/** `key` needs no escapes. Empty where there is no value. */
export function toAttribute(
  key: string,
  value: string | number | boolean | null | undefined,
): AttributeText {
  if (value === undefined || value === null) return '';
  return `,{"key":"${key}","value":${toAnyValue(value)}}`;
}

function toAnyValue(value: string | number | boolean): string {
  if (typeof value === 'string') {
    return `{"stringValue":${JSON.stringify(value.slice(0, MAX_TEXT_LENGTH))}}`;
  }
  if (typeof value === 'boolean') return `{"boolValue":${value}}`;
  return Number.isInteger(value) ? `{"intValue":${value}}` : `{"doubleValue":${value}}`;
}

/** The text without the comma in front. */
function listOf(texts: string): string {
  return `[${texts.slice(1)}]`;
}

/** The trace that spans are of, and where they go. */
interface SpanOrigin {
  readonly traceId: string;
  /** Of the trace: `tracestate`, or empty. */
  readonly state: string;
  readonly clock: Clock;
  /** From the clock's time to the wall clock's, in milliseconds: the same for all spans of a request. */
  readonly wallOffsetMs: number;
  /** Called with a span that has ended, as OTLP/JSON has it. */
  readonly ended: (span: string) => void;
}

interface SpanStart {
  /** Undefined: it is the first of its trace. */
  readonly parentSpanId: string | undefined;
  readonly isParentRemote: boolean;
  readonly name: string;
  readonly kind: (typeof SPAN_KIND)[keyof typeof SPAN_KIND];
  readonly attributes?: AttributeText;
}

/** More events or links than that are counted alone. */
const MAX_EVENTS = 64;
const MAX_LINKS = 32;

/** Of SpanFlags in OTLP: the flag of W3C Trace Context, and what is known of where the other span is. */
const SAMPLED_LOCAL = 0x101;
const SAMPLED_REMOTE = 0x301;
/** Of `StatusCode` in OTLP. */
const STATUS = { unset: 0, error: 2 };

/** A span that is recorded, from now to {@link Span.end}. What is said of it is written down at once as OTLP/JSON. */
export class Span implements SpanReference, TraceContext {
  readonly traceId: string;
  readonly spanId = createSpanId();
  readonly isSampled = true;
  readonly #origin: SpanOrigin;
  readonly #start: SpanStart;
  readonly #startedAt: number;
  #attributes: AttributeText;
  #events = '';
  #eventCount = 0;
  #links = '';
  #linkCount = 0;

  constructor(origin: SpanOrigin, start: SpanStart) {
    this.traceId = origin.traceId;
    this.#origin = origin;
    this.#start = start;
    this.#startedAt = origin.clock.now();
    this.#attributes = start.attributes ?? '';
  }

  /** Of the trace. */
  get state(): string {
    return this.#origin.state;
  }

  /** Begins a span below it. */
  child(start: Pick<SpanStart, 'name' | 'kind' | 'attributes'>): Span {
    return new Span(this.#origin, { ...start, parentSpanId: this.spanId, isParentRemote: false });
  }

  add(attributes: AttributeText): void {
    this.#attributes += attributes;
  }

  addEvent(name: string, attributes: AttributeText): void {
    this.#eventCount += 1;
    if (this.#eventCount > MAX_EVENTS) return;
    const time = this.#timeOf(this.#origin.clock.now());
    this.#events += `,{"name":"${name}","timeUnixNano":"${time}","attributes":${listOf(attributes)}}`;
  }

  /** To a span that is recorded in this process. */
  addLink({ traceId, spanId }: SpanReference, attributes: AttributeText): void {
    this.#linkCount += 1;
    if (this.#linkCount > MAX_LINKS) return;
    this.#links += `,{"traceId":"${traceId}","spanId":"${spanId}","flags":${SAMPLED_LOCAL},"attributes":${listOf(attributes)}}`;
  }

  /** To be called once. */
  end(hasFailed = false): void {
    const { state, clock, ended } = this.#origin;
    const { parentSpanId, isParentRemote, name, kind } = this.#start;
    ended(
      `{"traceId":"${this.traceId}","spanId":"${this.spanId}"` +
        (parentSpanId === undefined ? '' : `,"parentSpanId":"${parentSpanId}"`) +
        (state === '' ? '' : `,"traceState":${JSON.stringify(state)}`) +
        `,"flags":${isParentRemote ? SAMPLED_REMOTE : SAMPLED_LOCAL}` +
        `,"name":"${name}","kind":${kind}` +
        `,"startTimeUnixNano":"${this.#timeOf(this.#startedAt)}"` +
        `,"endTimeUnixNano":"${this.#timeOf(clock.now())}"` +
        `,"attributes":${listOf(this.#attributes)}` +
        `,"events":${listOf(this.#events)}` +
        `,"droppedEventsCount":${Math.max(0, this.#eventCount - MAX_EVENTS)}` +
        `,"links":${listOf(this.#links)}` +
        `,"droppedLinksCount":${Math.max(0, this.#linkCount - MAX_LINKS)}` +
        `,"status":{"code":${hasFailed ? STATUS.error : STATUS.unset}}}`,
    );
  }

  /** In nanoseconds, as digits in a text: JSON's numbers are too short. */
  #timeOf(ms: number): string {
    return `${Math.round(1_000 * (ms + this.#origin.wallOffsetMs))}000`;
  }
}
