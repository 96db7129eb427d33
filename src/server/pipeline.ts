import type { IncomingHttpHeaders, IncomingMessage, ServerResponse } from 'node:http';
import {
  type Answer,
  type Asker,
  type GraphQLHttpRequest,
  type Handler,
  NOTHING_LOADED,
} from '../core/answer.ts';
import { RefusedRequest } from '../core/errors.ts';
import type { Principal } from '../core/principal.ts';
import type { RequestContext } from '../core/request-context.ts';
import type { Telemetry } from '../core/telemetry.ts';
import type { Clock } from '../lib/clock.ts';
import type { Deadlines } from '../lib/deadlines.ts';
import type { Permit } from '../lib/fair-semaphore.ts';
import type { Turns } from '../lib/turns.ts';
import { readBody } from './body.ts';
import type { ClientIp } from './client-ip.ts';
import type { Cors } from './guards/cors.ts';
import type { CsrfGuard } from './guards/csrf.ts';
import type { HeldRequest, Intake } from './guards/intake.ts';
import { CountedCaller, type RateLimit } from './guards/rate-limit.ts';
import { HttpRequestContext } from './request-context.ts';
import { respond } from './respond.ts';
import type { SendRoom } from './send-room.ts';

interface PipelineOptions {
  cors: Cors;
  csrf: CsrfGuard;
  /** Tells on whose behalf a request is made; throws, or rejects with, a {@link RefusedRequest}. */
  authenticate(
    headers: IncomingHttpHeaders,
    context: RequestContext,
  ): Principal | Promise<Principal>;
  clientIp: ClientIp;
  /** Undefined: none. */
  rateLimit: RateLimit | undefined;
  intake: Intake;
  sendRoom: SendRoom;
  handler: Handler;
  /** The answer to a request that is refused. */
  refuse(
    refusal: RefusedRequest,
    request: Pick<GraphQLHttpRequest, 'headers'>,
    requestId: string,
  ): Answer;
  telemetry: Telemetry;
  clock: Clock;
  /** Of all requests. */
  deadlines: Deadlines;
  /** For requests whose time is up. */
  turns: Turns;
  /** The time limit of everything that one request waits for, in milliseconds. */
  deadlineMs: number;
  /** The longest request body that is read, in bytes. */
  maxBodyBytes: number;
  /** For how many callers a router stands that has shown that it is one. */
  routerWeight: number;
}

/**
 * One request to the GraphQL endpoint: the guards in order, then the handler, then its answer is written. `search`
 * is the query string without its `?`. Rejects for a fault of the gateway alone.
 */
export type Pipeline = (
  request: IncomingMessage,
  response: ServerResponse,
  search: string,
) => Promise<void>;

export function createPipeline(options: PipelineOptions): Pipeline {
  const { cors, csrf, authenticate, clientIp, rateLimit, intake, sendRoom, handler } = options;
  const { telemetry, clock, maxBodyBytes, routerWeight } = options;

  /** Counted by name once that is known, and by address before. */
  async function identify(
    { headers }: IncomingMessage,
    address: string,
    context: RequestContext,
  ): Promise<Asker> {
    let principal: Principal;
    try {
      principal = await authenticate(headers, context);
    } catch (error) {
      await rateLimit?.check({ address });
      throw error;
    }
    const { subject, tenantId, isProvenRouter } = principal;
    const identity = subject === undefined ? { address } : { subject };
    await rateLimit?.check(identity);
    const weight = isProvenRouter ? routerWeight : 1;
    return { principal, caller: new CountedCaller(tenantId, identity, weight) };
  }

  return async (request, response, search) => {
    const headers = cors.headersFor(request);
    if (request.method === 'OPTIONS') {
      response.setHeaders(new Map(Object.entries(headers)));
      return cors.answerOptions(request, response);
    }
    const context = new HttpRequestContext(request, response, options);
    const outcome: Outcome = { answer: undefined, subject: undefined, refusal: undefined };
    let held: HeldRequest | undefined;
    let sending: Permit | undefined;
    let unwritten: Answer | undefined;
    response.once('close', () => {
      context.end(response.writableFinished);
      held?.leave();
      sending?.leave();
      telemetry.request?.(toEvent(request, response, context, outcome, clock));
    });
    try {
      const address = clientIp(request);
      held = intake.enter(address);
      csrf(request);
      const asker = await identify(request, address, context);
      outcome.subject = asker.principal.subject;
      const body = request.method === 'POST' ? await readBody(request, maxBodyBytes, held) : '';
      const { method = '' } = request;
      const question = { method, headers: request.headers, search, body };
      const answer =
        handler.cached(question, asker.principal) ??
        (await handler.handle(question, context, asker));
      unwritten = answer;
      const entering = sendRoom.enter(answer.maxBytes, asker.caller, context);
      sending = entering instanceof Promise ? await entering : entering;
      outcome.answer = answer;
    } catch (error) {
      unwritten?.discard();
      if (!(error instanceof RefusedRequest)) throw error;
      if (!isShort(request, maxBodyBytes)) response.setHeader('connection', 'close');
      outcome.subject ??= error.subject;
      outcome.refusal = error.detail;
      outcome.answer = options.refuse(error, request, context.id);
    }
    if (response.closed) {
      // The client went away meanwhile: nothing is written out for nobody.
      outcome.answer.discard();
      sending?.leave();
      return;
    }
    const body = outcome.answer.serialize();
    sending?.resize(Buffer.byteLength(body));
    const all = { ...headers, ...outcome.answer.headers, 'x-request-id': context.id };
    respond(response, outcome.answer.status, all, body, request.method === 'HEAD');
  };
}

/** Node reads and drops a body that nobody wants: a short one, for less than a new connection costs. */
function isShort({ complete, headers }: IncomingMessage, maxBodyBytes: number): boolean {
  if (complete) return true;
  return (
    headers['transfer-encoding'] === undefined &&
    Number(headers['content-length'] ?? 0) <= maxBodyBytes
  );
}

/** What became of a request. */
interface Outcome {
  answer: Answer | undefined;
  subject: string | undefined;
  refusal: string | undefined;
}

const UNANSWERED: Answer['summary'] = {
  ...NOTHING_LOADED,
  operationName: null,
  errorCodes: [],
  cached: false,
};

function toEvent(
  request: IncomingMessage,
  response: ServerResponse,
  context: HttpRequestContext,
  { answer, subject, refusal }: Outcome,
  clock: Clock,
) {
  return {
    requestId: context.id,
    method: request.method ?? '',
    status: response.writableFinished ? response.statusCode : undefined,
    subject,
    refusal,
    durationMs: clock.now() - context.startedAt,
    answer: answer?.summary ?? UNANSWERED,
  };
}
