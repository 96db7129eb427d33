import {
  type Attributes,
  type Context,
  ROOT_CONTEXT,
  type Span,
  type SpanContext,
  SpanKind,
  SpanStatusCode,
  TraceFlags,
  type Tracer,
  trace,
} from '@opentelemetry/api';
import { defaultResource, resourceFromAttributes } from '@opentelemetry/resources';
import { BatchSpanProcessor, TracerProvider } from '@opentelemetry/sdk-trace';
import type { BatchKey } from '../core/batch-key.ts';
import type {
  CallObserver,
  OutgoingCall,
  RequestTrace,
  SpanReference,
  StatusObserver,
  StatusReport,
  TracedExecution,
  UpstreamCallOutcome,
  WaitReason,
} from '../core/request-trace.ts';
import type { RequestEvent, Telemetry } from '../core/telemetry.ts';
import { OtlpExporter, type PostSpans } from './otlp-exporter.ts';
import { readTraceContext, toTraceHeaders } from './trace-context.ts';
import { BoundedSampler, type SamplerName } from './trace-sampler.ts';

interface TracesOptions {
  sampler: SamplerName;
  /** The share of the requests that is recorded, 0 to 1, where the sampler has one. */
  ratio: number;
  /** Of the resource: `service.name` and the like. */
  attributes: Readonly<Record<string, string>>;
  /** Whether upstream calls carry `traceparent`. */
  propagates: boolean;
  post: PostSpans;
  /** What is told is handed on to it. */
  telemetry: Telemetry;
}

/** Traces by OpenTelemetry's SDK: docs/traces.md has the spans. */
export interface Traces {
  /** To be told what happens. */
  readonly telemetry: Telemetry;
  /** Resolves when all spans are sent, or lost. */
  close(): Promise<void>;
}

/** Spans that wait to be sent; those beyond are dropped. */
const MAX_WAITING_SPANS = 2_048;
/** To write more of them out at once would hold others up. */
const SPANS_PER_MESSAGE = 128;
const SEND_INTERVAL_MS = 1_000;
const SPAN_LIMITS = { attributeValueLengthLimit: 256, eventCountLimit: 64, linkCountLimit: 32 };

export function createTraces(options: TracesOptions): Traces {
  const { telemetry: next, propagates } = options;
  const processor = new BatchSpanProcessor({
    exporter: new OtlpExporter(options.post, next),
    maxQueueSize: MAX_WAITING_SPANS,
    maxExportBatchSize: SPANS_PER_MESSAGE,
    scheduledDelayMillis: SEND_INTERVAL_MS,
  });
  const provider = new TracerProvider({
    sampler: new BoundedSampler(options.sampler, options.ratio),
    resource: defaultResource().merge(resourceFromAttributes(options.attributes)),
    spanLimits: SPAN_LIMITS,
    spanProcessors: [processor],
  });
  const tracer = provider.getTracer('participant-gateway', options.attributes['service.version']);
  return {
    telemetry: {
      ...next,
      traceRequest({ method = '', headers }) {
        const parent = readTraceContext(headers);
        const context =
          parent === undefined ? ROOT_CONTEXT : trace.setSpanContext(ROOT_CONTEXT, parent);
        const span = tracer.startSpan(`${method} ${ROUTE}`, { kind: SpanKind.SERVER }, context);
        if (span.isRecording()) return new RecordedRequest(tracer, span, propagates);
        if (!propagates && parent === undefined) return undefined;
        return new UnrecordedRequest(span.spanContext(), propagates);
      },
      traceTokenCall(cause, tenant) {
        const context = cause?.span ? toContext(cause.span) : ROOT_CONTEXT;
        const attributes = tenant === undefined ? {} : { 'participant_gateway.tenant': tenant };
        const options = { kind: SpanKind.CLIENT, attributes };
        const span = tracer.startSpan('access token', options, context);
        return { end: (_status, outcome) => endCall(span, undefined, outcome) };
      },
      request(event) {
        next.request?.(event);
        if (event.trace instanceof RecordedRequest) event.trace.end(event);
      },
    },
    close: () => provider.shutdown(),
  };
}

/** Of the GraphQL endpoint. */
const ROUTE = '/graphql';
const UPSTREAM_TEMPLATE = '/core/api/v2/participants/{participantType}/batch/status';

function toContext({ traceId, spanId }: SpanReference): Context {
  return trace.setSpanContext(ROOT_CONTEXT, { traceId, spanId, traceFlags: TraceFlags.SAMPLED });
}

/** A request whose spans are recorded. */
class RecordedRequest implements RequestTrace {
  readonly id: string;
  readonly #tracer: Tracer;
  readonly #span: Span;
  readonly #propagates: boolean;

  constructor(tracer: Tracer, span: Span, propagates: boolean) {
    this.id = span.spanContext().traceId;
    this.#tracer = tracer;
    this.#span = span;
    this.#propagates = propagates;
  }

  execute(operationName: string | null): TracedExecution {
    return new RecordedExecution(this.#tracer, this.#span, operationName, this.#propagates);
  }

  /** By the semantic conventions of HTTP and of GraphQL; what is ours has a name of ours. */
  end({ requestId, tenant, method, address, status, answer }: RequestEvent): void {
    const { operationName, operationType, errorCodes, cached } = answer;
    const span = this.#span;
    span.setAttributes({
      'http.request.method': method,
      'http.route': ROUTE,
      'url.path': ROUTE,
      'url.scheme': 'http',
      'client.address': address,
      'participant_gateway.request_id': requestId,
      ...(tenant !== undefined && { 'participant_gateway.tenant': tenant }),
      ...(status !== undefined && { 'http.response.status_code': status }),
      ...(operationType !== undefined && { 'graphql.operation.type': operationType }),
      ...(operationName !== null && { 'graphql.operation.name': operationName }),
      ...(cached && { 'participant_gateway.cached': true }),
      ...errorType(status === undefined ? 'CLIENT_GONE' : errorCodes[0]),
    });
    if (status !== undefined && status >= 500) span.setStatus({ code: SpanStatusCode.ERROR });
    span.end();
  }
}

function errorType(type: string | undefined): Attributes {
  return type === undefined ? {} : { 'error.type': type };
}

/** The span of an execution, with those of its upstream calls below it. */
class RecordedExecution implements TracedExecution {
  readonly span: SpanReference;
  readonly #tracer: Tracer;
  readonly #span: Span;
  readonly #context: Context;
  readonly #propagates: boolean;

  constructor(tracer: Tracer, request: Span, operationName: string | null, propagates: boolean) {
    const attributes = {
      'graphql.operation.type': 'query',
      ...(operationName !== null && { 'graphql.operation.name': operationName }),
    };
    const ofRequest = trace.setSpan(ROOT_CONTEXT, request);
    this.#tracer = tracer;
    this.#span = tracer.startSpan('query', { attributes }, ofRequest);
    this.#context = trace.setSpan(ROOT_CONTEXT, this.#span);
    this.#propagates = propagates;
    this.span = this.#span.spanContext();
  }

  joined(key: BatchKey, other: StatusObserver | undefined): void {
    if (other?.span === undefined) return;
    const context = { ...other.span, traceFlags: TraceFlags.SAMPLED };
    this.#span.addLink({ context, attributes: attributesOf(key) });
  }

  waited(key: BatchKey, reason: WaitReason, ms: number): void {
    this.#span.addEvent('waited', {
      ...attributesOf(key),
      'participant_gateway.wait_reason': reason,
      'participant_gateway.wait_ms': ms,
    });
  }

  called({ key, requestId, url }: OutgoingCall): CallObserver {
    const { hostname, port, protocol } = new URL(url.origin);
    const attributes = {
      'http.request.method': 'GET',
      'server.address': hostname,
      'server.port': Number(port || (protocol === 'https:' ? '443' : '80')),
      'url.template': UPSTREAM_TEMPLATE,
      'participant_gateway.upstream_request_id': requestId,
      ...attributesOf(key),
    };
    const options = { kind: SpanKind.CLIENT, attributes };
    const span = this.#tracer.startSpan(`GET ${UPSTREAM_TEMPLATE}`, options, this.#context);
    return {
      headers: this.#propagates ? toTraceHeaders(span.spanContext()) : [],
      end: (status, outcome) => endCall(span, status, outcome),
    };
  }

  got(key: BatchKey, { source }: StatusReport): void {
    const attributes = { ...attributesOf(key), 'participant_gateway.status_source': source };
    this.#span.addEvent('status', attributes);
  }

  end([firstCode]: readonly string[]): void {
    if (firstCode !== undefined) this.#span.setAttributes(errorType(firstCode));
    this.#span.end();
  }
}

function attributesOf({ participantType, batchId }: BatchKey): Attributes {
  return {
    'participant_gateway.participant_type': participantType,
    ...(batchId !== null && { 'participant_gateway.batch_id': batchId }),
  };
}

function endCall(span: Span, status: number | undefined, outcome: UpstreamCallOutcome): void {
  const hasFailed = outcome !== 'ok' && outcome !== 'aborted';
  span.setAttributes({
    'participant_gateway.outcome': outcome,
    ...(status !== undefined && { 'http.response.status_code': status }),
    ...errorType(hasFailed ? outcome : undefined),
  });
  if (hasFailed) span.setStatus({ code: SpanStatusCode.ERROR });
  span.end();
}

/** A request of a trace that is not recorded here. Where that is wanted, the upstream is told which trace it is. */
class UnrecordedRequest implements RequestTrace, TracedExecution {
  readonly id: string;
  readonly span = undefined;
  readonly #context: SpanContext;
  readonly #propagates: boolean;

  constructor(context: SpanContext, propagates: boolean) {
    this.id = context.traceId;
    this.#context = context;
    this.#propagates = propagates;
  }

  execute(): TracedExecution | undefined {
    return this.#propagates ? this : undefined;
  }

  joined(): void {}
  waited(): void {}
  got(): void {}
  end(): void {}

  called(): CallObserver {
    return { headers: toTraceHeaders(this.#context), end() {} };
  }
}
