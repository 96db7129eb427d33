import type { IncomingHttpHeaders, IncomingMessage, ServerResponse } from 'node:http';
import {
  type Answer,
  type AnswerSummary,
  type Asker,
  type GraphQLHttpRequest,
  type Handler,
  type LiveAnswer,
  NOTHING_LOADED,
} from '../core/answer.ts';
import type { Audit } from '../core/audit.ts';
import { batchOfText } from '../core/batch-key.ts';
import { RefusedRequest } from '../core/errors.ts';
import type { Principal } from '../core/principal.ts';
import type { RequestContext } from '../core/request-context.ts';
import type { Telemetry } from '../core/telemetry.ts';
import { untilAborted } from '../lib/abort.ts';
import { neverAborted } from '../lib/cancellation.ts';
import type { Clock } from '../lib/clock.ts';
import type { Deadlines } from '../lib/deadlines.ts';
import type { EventLoop } from '../lib/event-loop.ts';
import type { Permit } from '../lib/fair-semaphore.ts';
import type { Turns } from '../lib/turns.ts';
import { readBody } from './body.ts';
import type { ClientIp } from './client-ip.ts';
import type { Cors } from './guards/cors.ts';
import type { CsrfGuard } from './guards/csrf.ts';
import type { HeldRequest, Intake } from './guards/intake.ts';
import { type CallerIdentity, CountedCaller, type RateLimit } from './guards/rate-limit.ts';
import { HttpRequestContext } from './request-context.ts';
import { respond } from './respond.ts';
import type { RoomRequest, SendRoom } from './send-room.ts';
import type { Streams } from './streams.ts';

/** A tenant as the pipeline knows it: its own guards, and what answers for it. */
export interface ServedTenant {
  /** Undefined where there is only one. */
  readonly name: string | undefined;
  /** Whether it is gone, or has other settings: what is under way finishes, and nothing that lasts begins. */
  readonly isRetired: boolean;
  readonly cors: Cors;
  readonly csrf: CsrfGuard;
  /** Tells on whose behalf a request is made; throws, or rejects with, a {@link RefusedRequest}. */
  authenticate(
    headers: IncomingHttpHeaders,
    context: RequestContext,
  ): Principal | Promise<Principal>;
  /** Undefined: none. */
  readonly rateLimit: RateLimit | undefined;
  readonly handler: Handler;
}

/** Those whose requests are answered. */
export interface ServedTenants {
  /** The tenant that a request means. Throws a {@link RefusedRequest} where it means none that is served here. */
  find(request: IncomingMessage): ServedTenant | Promise<ServedTenant>;
  /** For a request whose tenant is not known: a preflight shows no token. */
  corsOf(request: IncomingMessage): Cors;
  /** For requests that mean no tenant that is served; undefined: none. */
  readonly rateLimit: RateLimit | undefined;
}

interface PipelineOptions {
  tenants: ServedTenants;
  clientIp: ClientIp;
  intake: Intake;
  sendRoom: SendRoom;
  streams: Streams;
  /** The answer to a request that is refused. */
  refuse(
    refusal: RefusedRequest,
    request: Pick<GraphQLHttpRequest, 'headers'>,
    requestId: string,
  ): Answer;
  telemetry: Telemetry;
  /** Undefined: nobody keeps account of who reads what. */
  audit?: Audit | undefined;
  clock: Clock;
  /** Of all requests. */
  deadlines: Deadlines;
  /** For requests whose time is up. */
  turns: Turns;
  /** Requests that were read in one iteration are handled together, and so are their answers written. */
  eventLoop: EventLoop;
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
) => void | Promise<void>;

export function createPipeline(options: PipelineOptions): Pipeline {
  const { tenants } = options;
  return (request, response, search) => {
    if (request.method === 'OPTIONS') {
      return tenants.corsOf(request).answerOptions(request, response);
    }
    return new Run(options, request, response).answer(search);
  };
}

/** One request on its way through the pipeline. */
class Run {
  readonly #options: PipelineOptions;
  readonly #request: IncomingMessage;
  readonly #response: ServerResponse;
  readonly #context: HttpRequestContext;
  readonly #address: string;
  /** Undefined until it is known. */
  #tenant: ServedTenant | undefined;
  #held: HeldRequest | undefined;
  #sending: Permit | undefined;
  #subject: string | undefined;
  #refusal: string | undefined;
  #summary = UNANSWERED;

  constructor(options: PipelineOptions, request: IncomingMessage, response: ServerResponse) {
    this.#options = options;
    this.#request = request;
    this.#response = response;
    this.#context = new HttpRequestContext(request, response, options);
    this.#address = options.clientIp(request);
    response.on('close', () => this.#end());
  }

  async answer(search: string): Promise<void> {
    const { intake, sendRoom, maxBodyBytes, eventLoop } = this.#options;
    const request = this.#request;
    const { method = '', headers } = request;
    let asker: Asker;
    let question: GraphQLHttpRequest;
    let tenant: ServedTenant;
    try {
      this.#held = intake.enter(this.#address);
      const found = this.#findTenant();
      tenant = found instanceof Promise ? await found : found;
      this.#tenant = tenant;
      if (tenant.name !== undefined) this.#held?.countFor(tenant.name);
      tenant.csrf(request);
      const identified = this.#identify(tenant, this.#address);
      asker = identified instanceof Promise ? await identified : identified;
      this.#subject = asker.principal.subject;
      const body = method === 'POST' ? await readBody(request, maxBodyBytes, this.#held) : '';
      question = { method, headers, search, body };
      // Behind another on its connection: nobody can take its answer before that of the other.
      if (this.#response.socket === null) await this.#untilNext();
      const expecting = sendRoom.expect(toRoomRequest(question, asker), this.#context);
      if (expecting !== undefined) this.#sending = await expecting;
      await eventLoop.endOfIteration();
    } catch (error) {
      const refusal = this.#refuse(error);
      await eventLoop.endOfIteration();
      this.#write(refusal);
      return;
    }
    await this.#handle(question, asker, tenant);
  }

  /**
   * Apart from {@link answer}, which may have waited long: V8 moves what lives long to where it seldom collects, and
   * keeps there what that referred to last, done or not. It would keep every answer.
   */
  async #handle(question: GraphQLHttpRequest, asker: Asker, tenant: ServedTenant): Promise<void> {
    const { sendRoom, eventLoop } = this.#options;
    const { handler } = tenant;
    let answer: Answer | undefined;
    try {
      const made =
        handler.cached(question, asker.principal) ?? handler.handle(question, this.#context, asker);
      const ready = made instanceof Promise ? await made : made;
      if ('open' in ready) {
        this.#stream(ready, asker, tenant);
        return;
      }
      answer = ready;
      const room = toRoomRequest(question, asker);
      const entering = sendRoom.enter(answer.maxBytes, room, this.#context, this.#sending);
      this.#sending = entering instanceof Promise ? await entering : entering;
      if (answer.summary.batches !== undefined) this.#audit(answer.summary);
    } catch (error) {
      answer?.discard();
      answer = this.#refuse(error);
    }
    await eventLoop.endOfIteration();
    this.#write(answer);
  }

  async #untilNext(): Promise<void> {
    const { promise: isNext, resolve } = Promise.withResolvers<void>();
    this.#response.once('socket', () => resolve());
    await untilAborted(isNext, this.#context.signal).catch(() => {
      throw answersNotTaken();
    });
  }

  #findTenant(): ServedTenant | Promise<ServedTenant> {
    const { tenants } = this.#options;
    try {
      return tenants.find(this.#request);
    } catch (error) {
      return this.#countUnknown(tenants.rateLimit, error);
    }
  }

  async #countUnknown(rateLimit: RateLimit | undefined, error: unknown): Promise<never> {
    await rateLimit?.check({ address: this.#address });
    throw error;
  }

  /** The answer to a request that is refused. Throws what is a fault of the gateway. */
  #refuse(error: unknown): Answer {
    if (!(error instanceof RefusedRequest)) throw error;
    const { refuse } = this.#options;
    this.#subject ??= error.subject;
    this.#refusal = error.detail;
    return refuse(error, this.#request, this.#context.id);
  }

  /** Throws a {@link RefusedRequest} where it cannot be recorded what is about to be read. */
  #audit({ operationName, batches = [] }: AnswerSummary): void {
    const { audit } = this.#options;
    if (audit === undefined || batches.length === 0 || this.#response.closed) return;
    const requestId = this.#context.id;
    const [subject, address] = [this.#subject, this.#address];
    const of = { requestId, tenant: this.#tenant?.name, subject, address, operationName };
    if (!audit.record({ ...of, batches })) throw unaudited();
  }

  /** The same for a stream, once for each batch of which it has an event. */
  #auditEvents({ operationName }: AnswerSummary): (slot: string) => void {
    const recorded = new Set<string>();
    return (slot) => {
      if (recorded.has(slot)) return;
      const batch = batchOfText(slot);
      if (batch !== undefined) this.#audit({ ...UNANSWERED, operationName, batches: [batch] });
      recorded.add(slot);
    };
  }

  #write(answer: Answer): void {
    this.#summary = answer.summary;
    const response = this.#response;
    if (response.closed || response.headersSent) {
      // The client went away meanwhile, or was told that its request was faulty.
      answer.discard();
      this.#sending?.leave();
      return;
    }
    const body = answer.serialize();
    this.#sending?.resize(Buffer.byteLength(body));
    const { cors } = this.#tenant ?? { cors: this.#options.tenants.corsOf(this.#request) };
    const ofCors = cors.headersFor(this.#request);
    const headers = [...ofCors, ...answer.headers, 'x-request-id', this.#context.id];
    const isHead = this.#request.method === 'HEAD';
    respond(response, answer.status, headers, body, isHead, answer.bodyBytes);
  }

  /** Hands the response on to a stream, which is no request that is held any more. */
  #stream(answer: LiveAnswer, { principal, caller }: Asker, tenant: ServedTenant): void {
    const { streams, refuse, audit, clock, deadlineMs } = this.#options;
    const request = this.#request;
    const response = this.#response;
    const { id } = this.#context;
    const { cachePartition, expiresAt } = principal;
    // The client went away meanwhile, or was answered that its request is no HTTP.
    if (response.closed || response.headersSent) {
      answer.discard();
      return;
    }
    const check = (known: Principal) => {
      if (known.cachePartition !== cachePartition) throw changed();
    };
    this.#summary = answer.summary;
    const headers = [...tenant.cors.headersFor(request), 'x-request-id', id];
    if (request.method === 'HEAD') {
      answer.discard();
      response.writeHead(200, [...headers, 'content-type', answer.format]).end();
      return;
    }
    const of = {
      requestId: id,
      tenant: tenant.name,
      caller,
      expiresAt,
      headers,
      check: () => {
        const deadline = clock.now() + deadlineMs;
        const known = tenant.authenticate(request.headers, { id, deadline, signal: neverAborted });
        return known instanceof Promise ? known.then(check) : check(known);
      },
      ...(audit && { record: this.#auditEvents(answer.summary) }),
      toResult: (refusal: RefusedRequest) => refuse(refusal, request, id).serialize(),
    };
    try {
      if (tenant.isRetired) throw hasOtherSettings();
      if (answer.summary.batches !== undefined) this.#audit(answer.summary);
      streams.open(answer, response, of);
    } catch (error) {
      answer.discard();
      throw error;
    }
    this.#context.end(true);
    this.#held?.leave();
    this.#held = undefined;
    this.#sending?.leave();
  }

  /** Counted by name once that is known, and by address before. What is at hand is no promise. */
  #identify(tenant: ServedTenant, address: string): Asker | Promise<Asker> {
    const { rateLimit } = tenant;
    if (rateLimit !== undefined) return this.#identifyAndCount(tenant, address, rateLimit);
    const principal = tenant.authenticate(this.#request.headers, this.#context);
    return principal instanceof Promise
      ? principal.then((known) => this.#toAsker(known, identityOf(known, address)))
      : this.#toAsker(principal, identityOf(principal, address));
  }

  async #identifyAndCount(
    tenant: ServedTenant,
    address: string,
    rateLimit: RateLimit,
  ): Promise<Asker> {
    let principal: Principal;
    try {
      principal = await tenant.authenticate(this.#request.headers, this.#context);
    } catch (error) {
      await rateLimit.check({ address });
      throw error;
    }
    const identity = identityOf(principal, address);
    await rateLimit.check(identity);
    return this.#toAsker(principal, identity);
  }

  #toAsker(principal: Principal, identity: CallerIdentity): Asker {
    const weight = principal.isProvenRouter ? this.#options.routerWeight : 1;
    return { principal, caller: new CountedCaller(principal.tenantId, identity, weight) };
  }

  /** The answer is out, or the client gone. */
  #end(): void {
    const { writableFinished, statusCode } = this.#response;
    const { telemetry, clock } = this.#options;
    this.#context.end(writableFinished);
    this.#held?.leave();
    this.#held = undefined;
    this.#sending?.leave();
    telemetry.request?.({
      requestId: this.#context.id,
      tenant: this.#tenant?.name,
      method: this.#request.method ?? '',
      address: this.#address,
      status: writableFinished ? statusCode : undefined,
      subject: this.#subject,
      refusal: this.#refusal,
      durationMs: clock.now() - this.#context.startedAt,
      answer: this.#summary,
      trace: this.#context.trace,
    });
  }
}

const UNANSWERED: AnswerSummary = {
  ...NOTHING_LOADED,
  operationName: null,
  operationType: undefined,
  errorCodes: [],
  cached: false,
};

function answersNotTaken(): RefusedRequest {
  return new RefusedRequest(
    'OVERLOADED',
    503,
    'The answers to the requests before it on this connection were not taken in time: read answers as they come.',
    { retryAfterMs: 1_000 },
  );
}

/** With AUDIT=required. */
function unaudited(): RefusedRequest {
  return new RefusedRequest(
    'OVERLOADED',
    503,
    'What is read here is audited, and the audit cannot be written now: try again in a moment.',
    { retryAfterMs: 1_000, detail: 'the audit cannot be written' },
  );
}

/** A setting that was read anew: nothing that was granted before holds. */
function changed(): RefusedRequest {
  return new RefusedRequest('FORBIDDEN', 403, 'You may not see this any more: subscribe again.');
}

/** Of a tenant that was changed, or let go, while the request was under way: its streams have been ended. */
function hasOtherSettings(): RefusedRequest {
  return new RefusedRequest(
    'OVERLOADED',
    503,
    'Your tenant has other settings as of now: subscribe again.',
    { retryAfterMs: 1_000 },
  );
}

function toRoomRequest({ search, body }: GraphQLHttpRequest, { caller }: Asker): RoomRequest {
  return { caller, length: search.length + body.length };
}

function identityOf({ subject }: Principal, address: string): CallerIdentity {
  return subject === undefined ? { address } : { subject };
}
