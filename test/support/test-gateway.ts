import { readFileSync } from 'node:fs';
import { expect } from 'vitest';
import { createGateway } from '../../src/app.ts';
import type { ReadFile } from '../../src/config/files.ts';
import { type Environment, parseSettings } from '../../src/config/load.ts';
import { type Clock, systemClock } from '../../src/lib/clock.ts';
import { createAuditLog } from '../../src/telemetry/audit.ts';
import { createLog } from '../../src/telemetry/log.ts';
import { logEvents } from '../../src/telemetry/log-events.ts';
import type { ScriptedUpstream } from './scripted-upstream.ts';

/** An answer of the GraphQL endpoint. */
export interface GraphQLAnswer {
  status: number;
  body: unknown;
}

/** A whole gateway on a loopback port, as its users meet it. */
export interface TestGateway extends AsyncDisposable {
  url: URL;
  endpoint: URL;
  /** Undefined: there are no metrics. */
  metricsUrl: URL | undefined;
  /** Sends a query as a frontend does. */
  query(query: string, variables?: object, signal?: AbortSignal): Promise<GraphQLAnswer>;
  /** Every log entry so far, as it was written. */
  logLines: string[];
}

export interface TestGatewayOptions {
  environment?: Environment;
  /** Given: the gateway uses it, or what is at its address; else its own sandbox. */
  upstream?: Pick<ScriptedUpstream, 'url'>;
  clock?: Clock;
  /** Reads the files that settings name, at the start; by default those that there are. */
  readFile?: ReadFile;
}

export const CLIENT_SECRET = 'canary-client-secret';

/** The settings that point a gateway at an upstream of a test. */
export function environmentFor(upstream: URL): Environment {
  return {
    PARTICIPANT_SERVICE_URL: upstream.origin,
    PARTICIPANT_SERVICE_TENANT_ID: 'tenant-1',
    TOKEN_CLIENT_ID: 'gateway',
    TOKEN_CLIENT_SECRET: CLIENT_SECRET,
  };
}

export async function startTestGateway(options: TestGatewayOptions = {}): Promise<TestGateway> {
  const { environment = {}, upstream, clock = systemClock, readFile = readFileSync } = options;
  const logLines: string[] = [];
  const settings = parseSettings(
    {
      PORT: '0',
      LOG_LEVEL: 'trace',
      ...(upstream ? environmentFor(upstream.url) : {}),
      ...environment,
    },
    readFile,
  );
  const destination = { write: (line: string) => void logLines.push(line) };
  const log = createLog(settings.logLevel, destination);
  const gateway = await createGateway({
    settings,
    clock,
    telemetry: logEvents(log, destination, clock),
    audit: createAuditLog({ mode: settings.audit, destination, output: undefined }),
    process: { node: process, version: '0.0.0-test', droppedLogLines: () => 0 },
  });
  const url = await gateway.listen();
  const endpoint = new URL('/graphql', url);

  return {
    url,
    endpoint,
    metricsUrl: gateway.metricsUrl(),
    logLines,
    async query(query, variables, signal) {
      const response = await fetch(endpoint, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify({ query, variables }),
        ...(signal ? { signal } : {}),
      });
      return { status: response.status, body: await response.json() };
    },
    [Symbol.asyncDispose]: () => gateway.close(0),
  };
}

/** An answer as it came. */
export interface TextAnswer {
  status: number;
  contentType: string | null;
  body: string;
}

/** Sends a body as JSON, under the request id `the-same`. */
export async function sendBody(
  { endpoint }: Pick<TestGateway, 'endpoint'>,
  body: string,
  headers: Record<string, string> = {},
): Promise<TextAnswer> {
  const response = await fetch(endpoint, {
    method: 'POST',
    headers: { 'content-type': 'application/json', 'x-request-id': 'the-same', ...headers },
    body,
  });
  return {
    status: response.status,
    contentType: response.headers.get('content-type'),
    body: await response.text(),
  };
}

/** The query that most tests send. */
export const STATUS_QUERY = `query Status($participantType: String!, $batchId: ID) {
  batchStatus(participantType: $participantType, batchId: $batchId) { id status }
}`;

/** A request id that the gateway made. */
export const UUID = expect.stringMatching(/^[\da-f]{8}(-[\da-f]{4}){3}-[\da-f]{12}$/);

/** The whole answer to STATUS_QUERY when its field fails. */
export function statusFailure(message: string, extensions: object) {
  return {
    status: 200,
    body: {
      data: { batchStatus: null },
      errors: [
        {
          message,
          locations: [{ line: 2, column: 3 }],
          path: ['batchStatus'],
          extensions: { requestId: UUID, ...extensions },
        },
      ],
    },
  };
}
