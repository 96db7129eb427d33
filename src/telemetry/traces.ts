import type { BatchKey } from '../core/batch-key.ts';
import type {
  CallObserver,
  OutgoingCall,
  RequestTrace,
  StatusObserver,
  StatusReport,
  TracedExecution,
  UpstreamCallOutcome,
  WaitReason,
} from '../core/request-trace.ts';
import type { RequestEvent, Telemetry } from '../core/telemetry.ts';
import type { Clock } from '../lib/clock.ts';
import { portOf } from '../lib/url.ts';
import { type ExporterOptions, OtlpExporter } from './otlp-exporter.ts';
import { type AttributeText, SPAN_KIND, Span, toAttribute } from './span.ts';
import {
  createSpanId,
  createTraceId,
  rankOf,
  readTraceContext,
  readTraceState,
  toTraceHeaders,
} from './trace-context.ts';
import { type SamplerName, TraceSampler } from './trace-sampler.ts';

interface TracesOptions {
  sampler: SamplerName;
  /** The share of the requests that is recorded, 0 to 1, where the sampler has one. */
  ratio: number;
  /** Of the resource: `service.name` and the like. */
  attributes: Readonly<Record<string, string>>;
  /** Whether upstream calls carry `traceparent`. */
  propagates: boolean;
  clock: Clock;
  post: ExporterOptions['post'];
  /** What is told is handed on to it. */
  telemetry: Telemetry;
}

/** Traces as OpenTelemetry has them: docs/traces.md has the spans. */
export interface Traces {
  /** To be told what happens. */
  readonly telemetry: Telemetry;
  /** Resolves when all spans are sent, or lost. */
  close(): Promise<void>;
}

export function createTraces(options: TracesOptions): Traces {
  const { clock, telemetry: next, propagates } = options;
  const exporter = createExporter(options);
  const sampler = new TraceSampler(options.sampler, options.ratio);
  const ended = (span: string) => exporter.add(span);
  const originOf = (traceId: string, state: string) => {
    const wallOffsetMs = clock.date().getTime() - clock.now();
    return { traceId, state, clock, wallOffsetMs, ended };
  };
  return {
    telemetry: {
      ...next,
      traceRequest({ method = '', headers }) {
        const parent = readTraceContext(headers);
        const rank = parent === undefined ? Math.random() : rankOf(parent);
        const isRecorded = sampler.records(rank, parent);
        // For most requests nothing is made.
        if (!isRecorded && !propagates) return parent && new UnrecordedRequest(parent.traceId);
        const traceId = parent?.traceId ?? createTraceId(rank);
        const state = parent === undefined ? '' : readTraceState(headers);
        if (!isRecorded) return new UnrecordedRequest(traceId, state);
        const span = new Span(originOf(traceId, state), {
          parentSpanId: parent?.spanId,
          isParentRemote: parent !== undefined,
          name: `${method} ${ROUTE}`,
          kind: SPAN_KIND.server,
        });
        return new RecordedRequest(span, propagates);
      },
      traceTokenCall(cause, tenant) {
        const { span: parent } = cause ?? {};
        const rank = Math.random();
        if (parent === undefined && !sampler.records(rank)) return undefined;
        const span = new Span(originOf(parent?.traceId ?? createTraceId(rank), ''), {
          parentSpanId: parent?.spanId,
          isParentRemote: false,
          name: 'access token',
          kind: SPAN_KIND.client,
          attributes: toAttribute('participant_gateway.tenant', tenant),
        });
        return { end: (_status, outcome) => endCall(span, undefined, outcome) };
      },
      request(event) {
        next.request?.(event);
        if (event.trace instanceof RecordedRequest) event.trace.end(event);
      },
    },
    close: () => exporter.close(),
  };
}

function createExporter({ attributes, clock, post, telemetry }: TracesOptions): OtlpExporter {
  const name = 'participant-gateway';
  const version = attributes['service.version'];
  const sdk = {
    'telemetry.sdk.language': 'nodejs',
    'telemetry.sdk.name': name,
    ...(version !== undefined && { 'telemetry.sdk.version': version }),
  };
  return new OtlpExporter({
    ...{ clock, post, telemetry },
    resource: {
      attributes: Object.entries({ ...sdk, ...attributes }).map(([key, stringValue]) => ({
        key,
        value: { stringValue },
      })),
    },
    scope: { name, version },
  });
}

/** Of the GraphQL endpoint. */
const ROUTE = '/graphql';
const ROUTE_ATTRIBUTES =
  toAttribute('http.route', ROUTE) +
  toAttribute('url.path', ROUTE) +
  toAttribute('url.scheme', 'http');
const UPSTREAM_TEMPLATE = '/core/api/v2/participants/{participantType}/batch/status';
const UPSTREAM_ATTRIBUTES =
  toAttribute('http.request.method', 'GET') + toAttribute('url.template', UPSTREAM_TEMPLATE);

/** A request whose spans are recorded. */
class RecordedRequest implements RequestTrace {
  readonly id: string;
  readonly #span: Span;
  readonly #propagates: boolean;

  constructor(span: Span, propagates: boolean) {
    this.id = span.traceId;
    this.#span = span;
    this.#propagates = propagates;
  }

  execute(operationName: string | null): TracedExecution {
    return new RecordedExecution(this.#span, operationName, this.#propagates);
  }

  /** By the semantic conventions of HTTP and of GraphQL; what is ours has a name of ours. */
  end({ requestId, tenant, method, address, status, answer }: RequestEvent): void {
    const { operationName, operationType, errorCodes, cached } = answer;
    this.#span.add(
      toAttribute('http.request.method', method) +
        ROUTE_ATTRIBUTES +
        toAttribute('client.address', address) +
        toAttribute('participant_gateway.request_id', requestId) +
        toAttribute('participant_gateway.tenant', tenant) +
        toAttribute('http.response.status_code', status) +
        toAttribute('graphql.operation.type', operationType) +
        toAttribute('graphql.operation.name', operationName) +
        toAttribute('participant_gateway.cached', cached || undefined) +
        toAttribute('error.type', status === undefined ? 'CLIENT_GONE' : errorCodes[0]),
    );
    this.#span.end(status !== undefined && status >= 500);
  }
}

/** The span of an execution, with those of its upstream calls below it. */
class RecordedExecution implements TracedExecution {
  readonly span: Span;
  readonly #propagates: boolean;

  constructor(request: Span, operationName: string | null, propagates: boolean) {
    this.span = request.child({
      name: 'query',
      kind: SPAN_KIND.internal,
      attributes:
        toAttribute('graphql.operation.type', 'query') +
        toAttribute('graphql.operation.name', operationName),
    });
    this.#propagates = propagates;
  }

  joined(key: BatchKey, other: StatusObserver | undefined): void {
    if (other?.span !== undefined) this.span.addLink(other.span, attributesOf(key));
  }

  waited(key: BatchKey, reason: WaitReason, ms: number): void {
    this.span.addEvent(
      'waited',
      attributesOf(key) +
        toAttribute('participant_gateway.wait_reason', reason) +
        toAttribute('participant_gateway.wait_ms', ms),
    );
  }

  called({ key, requestId, url }: OutgoingCall): CallObserver {
    const origin = new URL(url.origin);
    const span = this.span.child({
      name: `GET ${UPSTREAM_TEMPLATE}`,
      kind: SPAN_KIND.client,
      attributes:
        UPSTREAM_ATTRIBUTES +
        toAttribute('server.address', origin.hostname) +
        toAttribute('server.port', portOf(origin)) +
        toAttribute('participant_gateway.upstream_request_id', requestId) +
        attributesOf(key),
    });
    return {
      headers: this.#propagates ? toTraceHeaders(span, span.state) : [],
      end: (status, outcome) => endCall(span, status, outcome),
    };
  }

  got(key: BatchKey, { source }: StatusReport): void {
    this.span.addEvent(
      'status',
      attributesOf(key) + toAttribute('participant_gateway.status_source', source),
    );
  }

  end([firstCode]: readonly string[]): void {
    this.span.add(toAttribute('error.type', firstCode));
    this.span.end();
  }
}

function attributesOf({ participantType, batchId }: BatchKey): AttributeText {
  return (
    toAttribute('participant_gateway.participant_type', participantType) +
    toAttribute('participant_gateway.batch_id', batchId)
  );
}

function endCall(span: Span, status: number | undefined, outcome: UpstreamCallOutcome): void {
  const hasFailed = outcome !== 'ok' && outcome !== 'aborted';
  span.add(
    toAttribute('participant_gateway.outcome', outcome) +
      toAttribute('http.response.status_code', status) +
      toAttribute('error.type', hasFailed ? outcome : undefined),
  );
  span.end(hasFailed);
}

/** A request of a trace that is not recorded here. */
class UnrecordedRequest implements RequestTrace, TracedExecution {
  readonly id: string;
  readonly span = undefined;
  readonly #state: string | undefined;

  /** The upstream is told of the trace, with its `state`; undefined: it is not. */
  constructor(traceId: string, state?: string) {
    this.id = traceId;
    this.#state = state;
  }

  execute(): TracedExecution | undefined {
    return this.#state === undefined ? undefined : this;
  }

  joined(): void {}
  waited(): void {}
  got(): void {}
  end(): void {}

  called(): CallObserver {
    const context = { traceId: this.id, spanId: createSpanId(), isSampled: false };
    return { headers: toTraceHeaders(context, this.#state), end() {} };
  }
}
