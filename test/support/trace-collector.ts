import { once } from 'node:events';
import { createServer, type IncomingHttpHeaders } from 'node:http';
import { isJsonObject, type JsonObject, type JsonValue, parseJson } from '../../src/lib/json.ts';

/** A span as the collector read it. */
export interface CollectedSpan {
  traceId: string;
  spanId: string;
  parentSpanId: string | undefined;
  traceState: string | undefined;
  name: string;
  /** Of SpanKind in OTLP. */
  kind: string;
  attributes: Record<string, unknown>;
  events: { name: string; attributes: Record<string, unknown> }[];
  links: { traceId: string; spanId: string; attributes: Record<string, unknown> }[];
  /** Of Status.StatusCode in OTLP. */
  status: string;
  /** From its start to its end. */
  nanoseconds: bigint;
}

/** A collector that decodes OTLP/HTTP as JSON. */
export interface TraceCollector extends AsyncDisposable {
  url: URL;
  /** Those of all messages, in the order in which they ended. */
  spans: CollectedSpan[];
  /** Of the resources that sent them. */
  resources: Record<string, unknown>[];
  messages: { path: string; headers: IncomingHttpHeaders; body: string }[];
  /** The HTTP status that it answers with; undefined: it does not answer. */
  answer: number | undefined;
  /** Resolves when there are so many spans. */
  spanCount(count: number): Promise<void>;
}

const KINDS = ['UNSPECIFIED', 'INTERNAL', 'SERVER', 'CLIENT', 'PRODUCER', 'CONSUMER'];
const STATUSES = ['UNSET', 'OK', 'ERROR'];

export async function startTraceCollector(): Promise<TraceCollector> {
  const arrivals = new Set<() => void>();
  const server = createServer(async (request, response) => {
    let body = '';
    for await (const chunk of request.setEncoding('utf8')) body += chunk;
    collector.messages.push({ path: request.url ?? '', headers: request.headers, body });
    if (collector.answer === 200) {
      for (const resourceSpans of objects(parseJson(body), 'resourceSpans')) {
        collector.resources.push(attributesOf(object(resourceSpans, 'resource')));
        for (const scopeSpans of objects(resourceSpans, 'scopeSpans')) {
          collector.spans.push(...objects(scopeSpans, 'spans').map(decodeSpan));
        }
      }
    }
    if (collector.answer !== undefined) {
      response.writeHead(collector.answer, { 'content-type': 'application/json' }).end('{}');
    }
    for (const arrived of arrivals) arrived();
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  const port = typeof address === 'object' && address !== null ? address.port : 0;

  const collector: TraceCollector = {
    url: new URL(`http://127.0.0.1:${port}`),
    spans: [],
    resources: [],
    messages: [],
    answer: 200,
    spanCount: (count) =>
      new Promise((resolve) => {
        const check = () => {
          if (collector.spans.length < count) return;
          arrivals.delete(check);
          resolve();
        };
        arrivals.add(check);
        check();
      }),
    async [Symbol.asyncDispose]() {
      server.close();
      server.closeAllConnections();
      await once(server, 'close');
    },
  };
  return collector;
}

function decodeSpan(span: JsonObject): CollectedSpan {
  const [start, end] = [text(span, 'startTimeUnixNano'), text(span, 'endTimeUnixNano')];
  return {
    traceId: text(span, 'traceId') ?? '',
    spanId: text(span, 'spanId') ?? '',
    parentSpanId: text(span, 'parentSpanId'),
    traceState: text(span, 'traceState'),
    name: text(span, 'name') ?? '',
    kind: KINDS[Number(span['kind'])] ?? '?',
    attributes: attributesOf(span),
    events: objects(span, 'events').map((event) => ({
      name: text(event, 'name') ?? '',
      attributes: attributesOf(event),
    })),
    links: objects(span, 'links').map((link) => ({
      traceId: text(link, 'traceId') ?? '',
      spanId: text(link, 'spanId') ?? '',
      attributes: attributesOf(link),
    })),
    status: STATUSES[Number(object(span, 'status')['code'])] ?? '?',
    nanoseconds: BigInt(end ?? '') - BigInt(start ?? ''),
  };
}

/** KeyValue and AnyValue of OTLP. */
function attributesOf(owner: JsonObject): Record<string, unknown> {
  const pairs = objects(owner, 'attributes').map((pair) => {
    const [[type, value] = ['none', null]] = Object.entries(object(pair, 'value'));
    return [text(pair, 'key'), type === 'intValue' ? Number(value) : value];
  });
  return Object.fromEntries(pairs);
}

function text(owner: JsonObject, name: string): string | undefined {
  const value = owner[name];
  return typeof value === 'string' ? value : undefined;
}

function object(owner: JsonValue, name: string): JsonObject {
  const value = isJsonObject(owner) ? owner[name] : undefined;
  if (!isJsonObject(value)) throw new Error(`${name} is no object`);
  return value;
}

function objects(owner: JsonValue, name: string): JsonObject[] {
  const value = isJsonObject(owner) ? owner[name] : undefined;
  if (!Array.isArray(value)) throw new Error(`${name} is no list`);
  return value.filter(isJsonObject);
}
