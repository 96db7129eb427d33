import { type BatchKey, batchToText } from '../core/batch-key.ts';
import {
  type CallObserver,
  type OutgoingCall,
  type StatusObserver,
  type StatusReport,
  TOKEN_PLACEHOLDER,
  type WaitReason,
} from '../core/request-trace.ts';
import type { Clock } from '../lib/clock.ts';
import { codeOfFailure } from './errors.ts';

/** Who may have answers explained. */
export interface ExplainOptions {
  /** That a caller's token needs; undefined: everybody may. */
  scope: string | undefined;
  clock: Clock;
}

/** The header by which a request asks for it, and what it says then. */
export const EXPLAIN_HEADER = 'x-explain';
export const EXPLAIN_VALUE = '1';

/** What took time on the way to one status. Times are milliseconds. */
type Step =
  | { readonly step: WaitReason | 'joined'; readonly ms: number }
  | {
      readonly step: 'call';
      readonly ms: number;
      /** The HTTP status; null: there was no answer. */
      readonly status: number | null;
      readonly outcome: string;
      readonly upstreamRequestId: string;
    };

interface BatchExplanation {
  readonly participantType: string;
  readonly batchId: string | null;
  /** Undefined: nothing came of it before the answer was put together. */
  source: StatusReport['source'] | undefined;
  /** The error code of why there is no status, or an old one. */
  code?: string;
  ageMs?: number;
  /** Calls that were made for this request. */
  attempts: number;
  /** Of the token of the last call. */
  tokenAgeMs?: number;
  readonly steps: Step[];
  /** The last call as a line for a POSIX shell. */
  curl?: string;
}

/** How the statuses of one answer came about, as `extensions.explain` tells it (docs/operations.md). */
export class Explanation implements StatusObserver {
  readonly #clock: Clock;
  readonly #next: StatusObserver | undefined;
  readonly #begunAt: number;
  readonly #batches = new Map<string, BatchExplanation>();
  readonly #joinedAt = new Map<string, number>();

  /** What it is told, `next` is told, too. */
  constructor(clock: Clock, next: StatusObserver | undefined) {
    this.#clock = clock;
    this.#next = next;
    this.#begunAt = clock.now();
  }

  get span(): StatusObserver['span'] {
    return this.#next?.span;
  }

  joined(key: BatchKey, other: StatusObserver | undefined): void {
    this.#next?.joined(key, other);
    this.#joinedAt.set(batchToText(key), this.#clock.now());
  }

  waited(key: BatchKey, reason: WaitReason, ms: number): void {
    this.#next?.waited(key, reason, ms);
    this.#of(key).steps.push({ step: reason, ms: toTenths(ms) });
  }

  called(call: OutgoingCall): CallObserver {
    const next = this.#next?.called(call);
    const batch = this.#of(call.key);
    const begunAt = this.#clock.now();
    batch.attempts += 1;
    batch.tokenAgeMs = Math.round(call.tokenAgeMs);
    batch.curl = toCurl(call);
    return {
      headers: next?.headers ?? [],
      end: (status = undefined, outcome) => {
        next?.end(status, outcome);
        batch.steps.push({
          step: 'call',
          ms: toTenths(this.#clock.now() - begunAt),
          status: status ?? null,
          outcome,
          upstreamRequestId: call.requestId,
        });
      },
    };
  }

  got(key: BatchKey, report: StatusReport): void {
    this.#next?.got(key, report);
    const { source, fetchedAt, error } = report;
    const batch = this.#of(key);
    const joinedAt = this.#joinedAt.get(batchToText(key));
    if (joinedAt !== undefined) {
      batch.steps.push({ step: 'joined', ms: toTenths(this.#clock.now() - joinedAt) });
    }
    batch.source = source;
    if (error !== undefined) batch.code = codeOfFailure(error);
    if (fetchedAt !== undefined) {
      batch.ageMs = Math.max(0, this.#clock.date().getTime() - fetchedAt.getTime());
    }
  }

  /** For the answer to the request with that id. */
  describe(requestId: string): object {
    return {
      requestId,
      ...(this.span && { traceId: this.span.traceId }),
      executionMs: toTenths(this.#clock.now() - this.#begunAt),
      batches: [...this.#batches.values()].map(({ steps, curl, ...rest }) => ({
        ...rest,
        steps,
        curl,
      })),
    };
  }

  #of(key: BatchKey): BatchExplanation {
    const id = batchToText(key);
    let batch = this.#batches.get(id);
    if (batch === undefined) {
      const { participantType, batchId } = key;
      batch = { participantType, batchId, source: undefined, attempts: 0, steps: [] };
      this.#batches.set(id, batch);
    }
    return batch;
  }
}

function toTenths(ms: number): number {
  return Math.round(10 * ms) / 10;
}

/** For a POSIX shell, whatever the texts hold: the token alone is for the shell to put in, out of the variable TOKEN. */
function toCurl({ url, headers }: OutgoingCall): string {
  const words = ['curl', '-sS', quote(url.origin + url.pathname + url.search)];
  for (let index = 0; index < headers.length; index += 2) {
    const header = `${headers[index]}: ${headers[index + 1]}`;
    const [before, ...hasToken] = header.endsWith(TOKEN_PLACEHOLDER)
      ? [header.slice(0, -TOKEN_PLACEHOLDER.length), `"${TOKEN_PLACEHOLDER}"`]
      : [header];
    words.push('-H', quote(before) + hasToken.join(''));
  }
  return words.join(' ');
}

/** Within single quotes nothing is special (POSIX, Shell Command Language, 2.2.2) but their end. */
function quote(text: string): string {
  return `'${text.replaceAll("'", `'\\''`)}'`;
}
