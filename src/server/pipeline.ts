import type { IncomingHttpHeaders, IncomingMessage, ServerResponse } from 'node:http';
import {
  type Answer,
  type GraphQLHttpRequest,
  type Handler,
  NOTHING_LOADED,
} from '../core/answer.ts';
import { RefusedRequest } from '../core/errors.ts';
import type { Principal } from '../core/principal.ts';
import type { RequestContext } from '../core/request-context.ts';
import type { Telemetry } from '../core/telemetry.ts';
import type { Clock } from '../lib/clock.ts';
import { readBody } from './body.ts';
import type { ClientIp } from './client-ip.ts';
import type { Cors } from './guards/cors.ts';
import type { CsrfGuard } from './guards/csrf.ts';
import type { Intake } from './guards/intake.ts';
import type { RateLimit } from './guards/rate-limit.ts';
import { HttpRequestContext } from './request-context.ts';
import { respond } from './respond.ts';

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
  handler: Handler;
  /** The answer to a request that is refused. */
  refuse(
    refusal: RefusedRequest,
    request: Pick<GraphQLHttpRequest, 'headers'>,
    requestId: string,
  ): Answer;
  telemetry: Telemetry;
  clock: Clock;
  /** The time limit of everything that one request waits for, in milliseconds. */
  deadlineMs: number;
  /** The longest request body that is read, in bytes. */
  maxBodyBytes: number;
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
  const { cors, csrf, authenticate, clientIp, rateLimit, intake, handler } = options;
  const { telemetry, clock, deadlineMs, maxBodyBytes } = options;

  /** Counted by name once that is known, and by address before. */
  async function identify(request: IncomingMessage, context: RequestContext): Promise<Principal> {
    let principal: Principal;
    try {
      principal = await authenticate(request.headers, context);
    } catch (error) {
      await rateLimit?.check({ address: clientIp(request) });
      throw error;
    }
    const { subject } = principal;
    await rateLimit?.check(subject === undefined ? { address: clientIp(request) } : { subject });
    return principal;
  }

  return async (request, response, search) => {
    const headers = cors.headersFor(request);
    if (request.method === 'OPTIONS') {
      response.setHeaders(new Map(Object.entries(headers)));
      return cors.answerOptions(request, response);
    }
    const context = new HttpRequestContext(request, response, clock, deadlineMs);
    const outcome: Outcome = { answer: undefined, subject: undefined, refusal: undefined };
    response.once('close', () => {
      context.end(response.writableFinished);
      telemetry.request?.(toEvent(request, response, context, outcome, clock));
    });
    try {
      csrf(request);
      const principal = await identify(request, context);
      outcome.subject = principal.subject;
      const body = request.method === 'POST' ? await readBody(request, maxBodyBytes) : '';
      const { method = '' } = request;
      const question = { method, headers: request.headers, search, body };
      let answer = handler.cached(question, principal);
      if (answer === undefined) {
        intake.enter(response);
        answer = await handler.handle(question, context, principal);
      }
      outcome.answer = answer;
    } catch (error) {
      if (!(error instanceof RefusedRequest)) throw error;
      if (!isShort(request, maxBodyBytes)) response.setHeader('connection', 'close');
      outcome.subject ??= error.subject;
      outcome.refusal = error.detail;
      outcome.answer = options.refuse(error, request, context.id);
    }
    const { status, body } = outcome.answer;
    const all = { ...headers, ...outcome.answer.headers, 'x-request-id': context.id };
    respond(response, status, all, body, request.method === 'HEAD');
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
