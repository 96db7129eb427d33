import type { Attributes, AttributeValue, HrTime, SpanContext } from '@opentelemetry/api';
import type { ReadableSpan, SpanExporter } from '@opentelemetry/sdk-trace';
import type { Telemetry } from '../core/telemetry.ts';

/** Sends a body of JSON to the collector. Rejects within a bounded time where there is no answer. */
export type PostSpans = (body: string) => Promise<{ readonly status: number }>;

/**
 * Sends spans by OTLP/HTTP as JSON (https://opentelemetry.io/docs/specs/otlp/#json-protobuf-encoding). Spans that the
 * collector does not take are lost: none is sent twice. The first failure is told, and that it is over.
 */
export class OtlpExporter implements SpanExporter {
  readonly #post: PostSpans;
  readonly #telemetry: Telemetry;
  #lostSpans = 0;

  constructor(post: PostSpans, telemetry: Telemetry) {
    this.#post = post;
    this.#telemetry = telemetry;
  }

  export(spans: ReadableSpan[], done: Parameters<SpanExporter['export']>[1]): void {
    this.#post(toRequest(spans)).then(
      ({ status }) => {
        if (status >= 200 && status <= 299) this.#onSent();
        else this.#onLost(spans.length, `the collector answered ${status}`);
        done({ code: 0 });
      },
      (error: unknown) => {
        this.#onLost(spans.length, error instanceof Error ? error.message : 'no answer');
        done({ code: 0 });
      },
    );
  }

  async shutdown(): Promise<void> {}

  #onSent(): void {
    const lostSpans = this.#lostSpans;
    this.#lostSpans = 0;
    if (lostSpans > 0) this.#telemetry.tracesBack?.({ lostSpans });
  }

  #onLost(spans: number, reason: string): void {
    if (this.#lostSpans === 0) this.#telemetry.tracesFailed?.({ reason });
    this.#lostSpans += spans;
  }
}

/** All spans are of one resource and one scope. */
function toRequest(spans: readonly ReadableSpan[]): string {
  const [first] = spans;
  const { name, version } = first?.instrumentationScope ?? {};
  const resource = { attributes: toKeyValues(first?.resource.attributes) };
  const scopeSpans = [{ scope: { name, version }, spans: spans.map(toOtlpSpan) }];
  return JSON.stringify({ resourceSpans: [{ resource, scopeSpans }] });
}

function toOtlpSpan(span: ReadableSpan): object {
  const { traceId, spanId, traceFlags, traceState } = span.spanContext();
  const { parentSpanContext: parent, status } = span;
  return {
    traceId,
    spanId,
    parentSpanId: parent?.spanId,
    traceState: traceState?.serialize(),
    flags: flagsOf({ traceFlags, isRemote: parent?.isRemote ?? false }),
    name: span.name,
    // The protocol has "unspecified" before the API's first kind.
    kind: span.kind + 1,
    startTimeUnixNano: toNanoseconds(span.startTime),
    endTimeUnixNano: toNanoseconds(span.endTime),
    attributes: toKeyValues(span.attributes),
    droppedAttributesCount: span.droppedAttributesCount,
    events: span.events.map(({ name, time, attributes }) => ({
      name,
      timeUnixNano: toNanoseconds(time),
      attributes: toKeyValues(attributes),
    })),
    droppedEventsCount: span.droppedEventsCount,
    links: span.links.map(({ context, attributes }) => ({
      traceId: context.traceId,
      spanId: context.spanId,
      flags: flagsOf(context),
      attributes: toKeyValues(attributes),
    })),
    droppedLinksCount: span.droppedLinksCount,
    status: { code: status.code, message: status.message },
  };
}

const HAS_IS_REMOTE = 0x100;
const IS_REMOTE = 0x200;

function flagsOf({ traceFlags, isRemote }: Pick<SpanContext, 'traceFlags' | 'isRemote'>): number {
  return traceFlags | HAS_IS_REMOTE | (isRemote === true ? IS_REMOTE : 0);
}

/** As digits in a text: JSON's numbers are too short. */
function toNanoseconds([seconds, nanoseconds]: HrTime): string {
  return `${seconds}${String(nanoseconds).padStart(9, '0')}`;
}

function toKeyValues(attributes: Attributes = {}): object[] {
  return Object.entries(attributes).map(([key, value]) => ({ key, value: toAnyValue(value) }));
}

function toAnyValue(value: AttributeValue | undefined): object {
  if (typeof value === 'string') return { stringValue: value };
  if (typeof value === 'boolean') return { boolValue: value };
  if (typeof value === 'number') {
    return Number.isInteger(value) ? { intValue: value } : { doubleValue: value };
  }
  return Array.isArray(value)
    ? { arrayValue: { values: value.map((element) => toAnyValue(element ?? undefined)) } }
    : {};
}
