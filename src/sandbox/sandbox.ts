import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Clock } from '../lib/clock.ts';
import { createServer } from '../lib/node-http.ts';
import { createBatchBook, DEFAULT_BATCH_ID, PARTICIPANT_TYPES } from './batches.ts';
import { sendData, sendError } from './envelope.ts';
import { createFaults } from './faults.ts';
import { AUDIENCE, createIssuer, type Issuer } from './issuer.ts';
import { createTokenEndpoint, type SandboxCredentials } from './token-endpoint.ts';

interface SandboxOptions {
  clock: Clock;
  /** Loopback port; 0 picks a free one. */
  port: number;
}

/** A running sandbox, and what a gateway needs to use it. */
export interface Sandbox {
  url: URL;
  tenantId: string;
  credentials: SandboxCredentials;
  /** The sandbox as the issuer of callers' tokens: its metadata are below `url`. */
  issuer: Pick<Issuer, 'issueToken'> & {
    audience: string;
    participantTypes: readonly string[];
  };
  close(): Promise<void>;
}

const TENANT_ID = 'sandbox-tenant';
const CREDENTIALS: SandboxCredentials = { clientId: 'sandbox', clientSecret: 'sandbox-secret' };
const TOKEN_LIFETIME_SECONDS = 3_600;
const TOKEN_PATH = '/core/api/v1/aaa/auth/client-credentials';
const STATUS_PATH = /^\/core\/api\/v2\/participants\/([^/]+)\/batch\/status$/;

/**
 * A Participant Service and its token endpoint, on a loopback port: for trying the gateway without a
 * tenant, and for its tests. It checks headers and tokens as the real one does. Its batches are
 * `batch-running` (grows for 60 s from the first look), `batch-finished`, `batch-partial`,
 * `batch-failed`, `batch-large`, and `batch-orders` in the payload of the platform's order services;
 * `fault-400` and its like show each error.
 */
export async function startSandbox({ clock, port }: SandboxOptions): Promise<Sandbox> {
  const tokens = createTokenEndpoint({
    clock,
    credentials: CREDENTIALS,
    tokenLifetimeSeconds: TOKEN_LIFETIME_SECONDS,
  });
  const findBatch = createBatchBook(clock);
  const faults = createFaults();
  const issuer = await createIssuer(clock, () => url.origin);

  function handleStatus(
    request: IncomingMessage,
    response: ServerResponse,
    type: string,
    url: URL,
  ) {
    const { headers } = request;
    for (const name of ['x-coreos-request-id', 'x-coreos-tid', 'x-coreos-access']) {
      if (typeof headers[name] !== 'string' || headers[name] === '') {
        return sendError(
          request,
          response,
          400,
          '101100110001',
          `${name.toUpperCase()} is missing.`,
        );
      }
    }
    for (const name of ['accept', 'content-type'] as const) {
      if (headers[name] !== 'application/json') {
        return sendError(
          request,
          response,
          400,
          '101100110002',
          `${name} must be application/json.`,
        );
      }
    }
    const token = String(headers['x-coreos-access']);
    if (headers['x-coreos-tid'] !== TENANT_ID || !tokens.accepts(token)) {
      const description =
        "The client's identity is unknown: check the tenant and that the client id and client secret are valid on it.";
      return sendError(request, response, 401, '100100110003', description);
    }
    if (!PARTICIPANT_TYPES.has(type)) {
      return sendError(
        request,
        response,
        404,
        '101100110004',
        'The participant type does not exist.',
      );
    }
    const batchId = url.searchParams.get('batchId') ?? DEFAULT_BATCH_ID;
    const fault = faults.get(batchId);
    if (fault) return fault(request, response, token);
    const data = findBatch(type, batchId);
    if (data === undefined) {
      return sendError(request, response, 404, '101100110005', 'The batch does not exist.', {
        batchId,
      });
    }
    sendData(request, response, data);
  }

  async function route(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const url = new URL(request.url ?? '/', 'http://sandbox');
    if (request.method === 'POST' && url.pathname === TOKEN_PATH)
      return tokens.handle(request, response);
    if (issuer.handle(url.pathname, request, response)) return;
    const type = request.method === 'GET' ? STATUS_PATH.exec(url.pathname)?.[1] : undefined;
    if (type !== undefined) return handleStatus(request, response, decodeURIComponent(type), url);
    sendError(
      request,
      response,
      404,
      '101100110006',
      'The server can not find the requested resource.',
    );
  }

  const server = createServer((request, response) => {
    route(request, response).catch(() => response.destroy());
  });
  const url = await new Promise<URL>((resolve, reject) => {
    server.once('error', reject);
    server.listen(port, '127.0.0.1', () => {
      const address = server.address();
      const bound = typeof address === 'object' && address !== null ? address.port : port;
      resolve(new URL(`http://127.0.0.1:${bound}`));
    });
  });

  return {
    url,
    tenantId: TENANT_ID,
    credentials: CREDENTIALS,
    issuer: {
      issueToken: issuer.issueToken,
      audience: AUDIENCE,
      participantTypes: [...PARTICIPANT_TYPES],
    },
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}
