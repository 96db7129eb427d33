import { randomUUID } from 'node:crypto';
import type { ExecutionResult } from 'graphql';
import {
  type Asker,
  type EventReceiver,
  type LiveAnswer,
  NOTHING_LOADED,
  type StreamFormat,
} from '../core/answer.ts';
import type { Principal } from '../core/principal.ts';
import type { RequestContext } from '../core/request-context.ts';
import { neverAborted } from '../lib/cancellation.ts';
import { type HeldMemory, MemoryUse } from '../lib/held-memory.ts';
import { textBytes } from '../lib/json-size.ts';
import type { FollowService } from '../status/follow.ts';
import { tooMuchHeld } from '../status/loader.ts';
import type { EndUser } from '../upstream/request.ts';
import type { GraphQLContext } from './context.ts';
import type { PreparedOperation } from './documents.ts';
import { type PublicErrorOptions, toGraphQLError, toPublicErrors } from './errors.ts';
import type { GraphQLParameters } from './parameters.ts';
import { jsonSize, responseTooLong } from './response-size.ts';
import { UpdateQueue } from './update-queue.ts';

interface LiveOperationsOptions extends PublicErrorOptions {
  followService: FollowService;
  /** What the latest events are counted in. */
  heldMemory: HeldMemory;
  participantTypes: ReadonlySet<string>;
  /** Different batches that one subscription may follow. */
  maxBatches: number;
  /** The longest event, in bytes. */
  maxResponseBytes: number;
}

/** A subscription, as a client asks for it. */
export interface Subscription {
  readonly operation: PreparedOperation;
  readonly parameters: GraphQLParameters;
  readonly format: StreamFormat;
  /** The user that the upstream is told of; undefined: none. */
  readonly user: EndUser | undefined;
}

/** Subscriptions under way. Equal ones of equal principals are executed once for all. */
export interface LiveOperations {
  subscribe(subscription: Subscription, context: RequestContext, asker: Asker): LiveAnswer;
}

/** Under which a subscription is shared: for no two whose events may differ the same. */
export function subscriptionKey(
  { principal }: { principal: Pick<Principal, 'tenantId' | 'cachePartition'> },
  { query, operationName, variables }: GraphQLParameters,
): string {
  const { tenantId, cachePartition } = principal;
  return JSON.stringify([
    tenantId,
    cachePartition,
    query,
    operationName ?? null,
    variables ?? null,
  ]);
}

export function createLiveOperations(options: LiveOperationsOptions): LiveOperations {
  const underWay = new Map<string, LiveOperation>();

  function operationOf(subscription: Subscription, asker: Asker): LiveOperation {
    const key = subscriptionKey(asker, subscription.parameters);
    const known = underWay.get(key);
    if (known !== undefined) return known;
    const operation = new LiveOperation(subscription, asker, options, () => {
      if (underWay.get(key) === operation) underWay.delete(key);
    });
    underWay.set(key, operation);
    return operation;
  }

  return {
    subscribe: (subscription, context, asker) => ({
      format: subscription.format,
      summary: {
        ...NOTHING_LOADED,
        operationName: subscription.operation.name,
        operationType: 'subscription',
        errorCodes: [],
        cached: false,
      },
      open: (receiver) => operationOf(subscription, asker).add(context.id, receiver),
      discard() {},
    }),
  };
}

/** An event, written out. */
interface LiveEvent {
  readonly text: string;
  /** Whether the operation's id is in it, where each receiver is to find the id of its own request. */
  readonly hasRequestId: boolean;
  readonly isFailure: boolean;
  /** Whether a batch's status may be in it. */
  readonly hasStatus: boolean;
  /** Of the text. */
  readonly memory: MemoryUse;
}

/** One subscription that is executed, for all who receive it. It begins with the first of them, and ends with the last. */
class LiveOperation {
  readonly #subscription: Subscription;
  readonly #options: LiveOperationsOptions;
  readonly #closed: () => void;
  readonly #contextValue: GraphQLContext;
  readonly #receivers = new Map<EventReceiver, string>();
  /** The latest of each batch. */
  readonly #latest = new Map<string, LiveEvent>();
  readonly #context: RequestContext = {
    id: randomUUID(),
    deadline: Number.POSITIVE_INFINITY,
    signal: neverAborted,
  };
  #updates: UpdateQueue | undefined;
  #isOver = false;

  constructor(
    subscription: Subscription,
    { principal, caller }: Asker,
    options: LiveOperationsOptions,
    closed: () => void,
  ) {
    const { followService, participantTypes, maxBatches } = options;
    const { user } = subscription;
    this.#subscription = subscription;
    this.#options = options;
    this.#closed = closed;
    this.#contextValue = {
      principal,
      participantTypes,
      maxBatches,
      statuses: { load: () => Promise.reject(new Error('an update has its status with it')) },
      follow: (batches) => {
        const of = { followService, principal, participantTypes, user, caller };
        this.#updates = new UpdateQueue(batches, of);
        if (this.#isOver) void this.#updates.return();
        return this.#updates;
      },
    };
  }

  /** Tells a receiver first what was told the others last. Returns how to leave. */
  add(requestId: string, receiver: EventReceiver): () => void {
    const isFirst = this.#receivers.size === 0;
    this.#receivers.set(receiver, requestId);
    for (const [slot, event] of this.#latest) this.#send(receiver, requestId, slot, event);
    if (isFirst) void this.#run();
    return () => {
      if (this.#receivers.delete(receiver) && this.#receivers.size === 0) this.#end();
    };
  }

  async #run(): Promise<void> {
    try {
      const { operation, parameters } = this.#subscription;
      const { variables } = parameters;
      const results = await operation.subscribe({ contextValue: this.#contextValue, variables });
      if (Symbol.asyncIterator in results) {
        for await (const result of results) this.#tell(this.#updates?.slot ?? '', result);
      } else {
        this.#tell('', results);
      }
    } catch (error) {
      const fault = error instanceof Error ? error : new Error(String(error));
      this.#tell('', { errors: [toGraphQLError(fault)] });
    }
    const receivers = [...this.#receivers.keys()];
    this.#end();
    for (const receiver of receivers) receiver.complete();
  }

  #tell(slot: string, result: ExecutionResult): void {
    if (this.#isOver) return;
    const event = this.#held(slot, this.#toEvent(result));
    this.#latest.set(slot, event);
    // Who comes later may have more luck with what has failed: they begin anew.
    if (event.isFailure) this.#closed();
    for (const [receiver, requestId] of this.#receivers) {
      this.#send(receiver, requestId, slot, event);
    }
  }

  /** The event, counted in the place of the one before; or, where there is no memory for it, an error. */
  #held(slot: string, event: LiveEvent): LiveEvent {
    const { heldMemory } = this.#options;
    const before = this.#latest.get(slot);
    if (before !== undefined) heldMemory.release(before.memory);
    this.#latest.delete(slot);
    if (heldMemory.hold(event.memory)) return event;
    const refusal = this.#toEvent({ data: null, errors: [toGraphQLError(tooMuchHeld())] });
    const nothing = { ...refusal, memory: new MemoryUse(0) };
    heldMemory.hold(nothing.memory);
    return nothing;
  }

  #send(
    receiver: EventReceiver,
    requestId: string,
    slot: string,
    { text, hasRequestId, hasStatus }: LiveEvent,
  ): void {
    const own = hasRequestId ? text.replaceAll(this.#context.id, requestId) : text;
    receiver.next(slot, own, hasStatus);
  }

  #toEvent(result: ExecutionResult): LiveEvent {
    const { maxResponseBytes } = this.#options;
    const isTooLong = jsonSize(result.data, maxResponseBytes) > maxResponseBytes;
    const { data, errors } = isTooLong
      ? { data: null, errors: [toGraphQLError(responseTooLong(maxResponseBytes))] }
      : result;
    const shown = errors && toPublicErrors(errors, this.#context, this.#options);
    const text = JSON.stringify(shown === undefined ? { data } : { errors: shown.errors, data });
    const isFailure = shown !== undefined;
    const hasRequestId = isFailure && text.includes(this.#context.id);
    const hasStatus = (data ?? null) !== null && this.#updates?.hasStatus === true;
    return { text, hasRequestId, isFailure, hasStatus, memory: new MemoryUse(textBytes(text)) };
  }

  #end(): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#receivers.clear();
    this.#closed();
    for (const { memory } of this.#latest.values()) this.#options.heldMemory.release(memory);
    this.#latest.clear();
    void this.#updates?.return();
  }
}
