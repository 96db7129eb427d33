/**
 * The cold path, rebuilt from inside out over node:http: of the house's modules those up to a step, which is the
 * argument. Each step loads its own modules only. The settings are the gateway's.
 */
import { readFileSync } from 'node:fs';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { parseSettings } from '../../src/config/load.ts';
import type { Settings } from '../../src/config/settings.ts';
import type { RequestContext } from '../../src/core/request-context.ts';
import { Cancellation } from '../../src/lib/cancellation.ts';
import { systemClock as clock } from '../../src/lib/clock.ts';
import { Turns } from '../../src/lib/turns.ts';
import { listen, readBody, readKey, sendStatus, sendText } from './listen.ts';
import { type BatchStatus, type Envelope, pathOf, TOKEN, upstreamHeaders } from './support.ts';

interface Key {
  participantType: string;
  batchId: string;
}

type Patience = Pick<RequestContext, 'deadline' | 'signal'>;

type Answer = (request: IncomingMessage, response: ServerResponse) => void;

const settings = parseSettings(process.env, readFileSync);
const service = serviceOf(settings);
const { tenantId } = service;
const turns = new Turns();
const CALLER = { key: JSON.stringify([tenantId, 'bench']), weight: 1 };

/** By name, from inside out. */
const STEPS: ReadonlyMap<string, () => Promise<Answer>> = new Map([
  ['http-client', httpClient],
  ['upstream-call', upstreamCall],
  ['status-service', statusService],
  ['document', executedDocument],
]);

const [, , step = ''] = process.argv;
const begin = STEPS.get(step);
if (begin === undefined) throw new Error(`There is no step ${step}.`);
listen(createServer(await begin()));

/** In place of undici's `dispatch`: the time limit, the places, the decoded text, `signal`. */
async function httpClient(): Promise<Answer> {
  const { createHttpClient } = await import('../../src/http-client/client.ts');
  const { send } = createHttpClient({
    clock,
    maxConnections: settings.upstreamMaxConnections,
    timeoutMs: settings.upstreamTimeoutMs,
    maxBodyBytes: settings.upstreamMaxBodyBytes,
  });
  const { origin } = service.url;
  return answerKeys(async (key, { signal }) => {
    const [pathname = '', query] = pathOf(key).split('?');
    const url = { origin, pathname, search: `?${query}` };
    const { status, body } = await send({ method: 'GET', url, headers: upstreamHeaders() }, signal);
    if (status !== 200) throw new Error(`The upstream answered ${status}.`);
    const envelope: Envelope = JSON.parse(body);
    return envelope;
  });
}

/** And with the call's headers, the envelope, the echo, the outcome; the token is a fixed one. */
async function upstreamCall(): Promise<Answer> {
  const { createServiceCall, createStatusClient } = await import('../../src/tenants/services.ts');
  const client = createStatusClient(settings, clock);
  const call = createServiceCall(service, settings, client, { clock, turns, onRenewal() {} });
  const token = { value: TOKEN, askedAt: 0 };
  return answerKeys(async (key, { signal }) => {
    const outcome = await call(key, token, undefined, signal);
    if (outcome.kind !== 'ok') throw outcome.error;
    return outcome.answer.envelope;
  });
}

async function tenantParts() {
  const { Deadlines } = await import('../../src/lib/deadlines.ts');
  const { HeldMemory } = await import('../../src/lib/held-memory.ts');
  const { StatusStore } = await import('../../src/status/store.ts');
  const heldMemory = new HeldMemory(64 * 1024 * 1024);
  const statusStore = new StatusStore();
  const deadlines = new Deadlines(clock);
  return { clock, telemetry: {}, turns, deadlines, heldMemory, statusStore, onPoll() {} };
}

/** And with token cache, circuits, retry budget, call slots, statuses that are shared and kept. */
async function statusService(): Promise<Answer> {
  const { createTenantServices } = await import('../../src/tenants/services.ts');
  const { statuses } = createTenantServices(
    service.tenantId,
    service,
    settings,
    await tenantParts(),
  );
  return answerKeys(async (key, patience) => {
    const result = await statuses.get(key, { ...patience, caller: CALLER, user: undefined });
    if ('error' in result) throw result.error;
    return result.status;
  });
}

/** And with schema, documents and the handler, as app.ts has them; no guards, no log. */
async function executedDocument(): Promise<Answer> {
  const { createTenantServices } = await import('../../src/tenants/services.ts');
  const { createDocuments } = await import('../../src/graphql/documents.ts');
  const { createHandler } = await import('../../src/graphql/handler.ts');
  const { createPlainDocuments } = await import('../../src/graphql/persisted-documents.ts');
  const { createResponseCaches } = await import('../../src/graphql/response-cache.ts');
  const { toCountingSchema } = await import('../../src/graphql/response-size.ts');
  const { createSubgraphSchema } = await import('../../src/graphql/schema/index.ts');
  const { limits, introspection, participantTypes, errorDetail } = settings;
  const createSchema = () => createSubgraphSchema(limits.maxReferences);
  const schema = createSchema();
  const createCountingSchema = () => toCountingSchema(createSchema());
  const parts = await tenantParts();
  const { telemetry, heldMemory } = parts;
  const { statuses } = createTenantServices(service.tenantId, service, settings, parts);
  const handler = createHandler({
    documents: createDocuments({ schema, createCountingSchema, limits, introspection }),
    persistedDocuments: createPlainDocuments(),
    responseCache: createResponseCaches(clock).ofTenant(service.tenantId),
    statuses,
    liveOperations: undefined,
    heldMemory,
    participantTypes,
    maxBatches: limits.maxBatches,
    maxResponseBytes: settings.responseMaxBytes,
    turns,
    forwardUserInfo: settings.auth.forwardUserInfo,
    errorDetail,
    telemetry,
  });
  const principal = {
    tenantId,
    subject: undefined,
    name: undefined,
    scopes: new Set<string>(),
    participantTypes: undefined,
    isRouter: false,
    isProvenRouter: false,
    expiresAt: undefined,
    cachePartition: JSON.stringify([tenantId]),
  };

  return (request, response) =>
    readBody(request, (body) => {
      const question = { method: 'POST', headers: request.headers, search: '', body };
      const asker = { principal, caller: CALLER };
      const context = { id: 'bench', ...toPatience() };
      const answer = handler.cached(question, principal);
      if (answer) return sendText(response, answer.serialize());
      // It never rejects.
      void Promise.resolve(handler.handle(question, context, asker)).then((made) =>
        'open' in made ? response.destroy() : sendText(response, made.serialize()),
      );
    });
}

/** Answers with what a step finds for a batch. */
function answerKeys(
  find: (
    key: Key,
    patience: Patience,
  ) => Promise<{ data: unknown; request: BatchStatus['request'] }>,
): Answer {
  return (request, response) =>
    readKey(request, (key) => {
      find(key, toPatience()).then(
        ({ data, request: { uri } }) =>
          sendStatus(response, { participantType: key.participantType, data, request: { uri } }),
        () => response.writeHead(502).end(),
      );
    });
}

/** Each request has a signal of its own, as in the gateway; nobody aborts it. */
function toPatience(): Patience {
  return { deadline: clock.now() + settings.requestDeadlineMs, signal: new Cancellation() };
}

function serviceOf({ participantService }: Settings): NonNullable<Settings['participantService']> {
  if (participantService === undefined) throw new Error('PARTICIPANT_SERVICE_URL is not set.');
  return participantService;
}
