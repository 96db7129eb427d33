import { createHash } from 'node:crypto';
import type { BatchKey } from '../core/batch-key.ts';
import { FieldError } from '../core/errors.ts';
import { isJsonObject, type JsonObject, type JsonValue, member, toLabel } from '../lib/json.ts';

/** One record of a batch. Each member but `record` is null where the payload does not have it. */
export interface BatchRecord {
  /** The caller's own reference of the record. */
  readonly refId: string | null;
  /** The id that the record got, or has. */
  readonly id: string | null;
  /** Why it failed, in the upstream's words. */
  readonly reason: string | null;
  /** The upstream's code of that reason. */
  readonly code: string | null;
  /** The record as it came. */
  readonly record: JsonValue;
}

/**
 * Reads a record of either payload: `refID`, `id` and `reason` of the core payload; of the orders payload `id`,
 * and `message` and `code` of the first of its `errors`. Ids and codes may be numbers.
 */
function toBatchRecord(record: JsonValue): BatchRecord {
  if (!isJsonObject(record)) return { refId: null, id: null, reason: null, code: null, record };
  const cause = firstError(record);
  return {
    refId: toLabel(member(record, 'refID')),
    id: toLabel(member(record, 'id')),
    reason: toText(member(record, 'reason')) ?? toText(member(cause, 'message')),
    code: toLabel(member(record, 'code')) ?? toLabel(member(cause, 'code')),
    record,
  };
}

function firstError(record: JsonObject): JsonObject {
  const errors = member(record, 'errors');
  const first = Array.isArray(errors) ? errors[0] : undefined;
  return isJsonObject(first) ? first : {};
}

function toText(value: JsonValue | undefined): string | null {
  return typeof value === 'string' && value !== '' ? value : null;
}

/** Which list of which batch a page is of. */
export interface RecordList {
  readonly key: BatchKey;
  readonly name: 'failures' | 'successes';
  readonly records: readonly JsonValue[];
}

/** A page of records, in the terms of the Relay connection specification. */
export interface RecordPage {
  readonly totalCount: number;
  readonly edges: readonly { readonly cursor: string; readonly node: BatchRecord }[];
  readonly pageInfo: {
    readonly hasNextPage: boolean;
    readonly hasPreviousPage: boolean;
    readonly startCursor: string | null;
    readonly endCursor: string | null;
  };
}

export const DEFAULT_PAGE_SIZE = 20;
export const MAX_PAGE_SIZE = 100;

/**
 * The `first` records (0 to {@link MAX_PAGE_SIZE}) behind the cursor `after`, or from the beginning. Only
 * they are read, however long the list is; behind its end there are none. Throws a {@link FieldError} for
 * another `first`, and for a cursor of another list.
 */
export function toRecordPage(
  { key, name, records }: RecordList,
  first: number,
  after: string | null,
): RecordPage {
  if (first < 0 || first > MAX_PAGE_SIZE) {
    throw new FieldError('BAD_USER_INPUT', `first accepts 0 to ${MAX_PAGE_SIZE}.`);
  }
  const list = listDigest(key, name);
  const start = after === null ? 0 : indexOfCursor(list, after) + 1;
  const edges = records.slice(start, start + first).map((record, offset) => ({
    cursor: `${list}.${start + offset}`,
    node: toBatchRecord(record),
  }));
  return {
    totalCount: records.length,
    edges,
    pageInfo: {
      hasNextPage: start + edges.length < records.length,
      hasPreviousPage: start > 0,
      startCursor: edges[0]?.cursor ?? null,
      endCursor: edges.at(-1)?.cursor ?? null,
    },
  };
}

/** Tells the lists of batches apart in 12 characters, whatever the length of an id. */
function listDigest({ participantType, batchId }: BatchKey, name: RecordList['name']): string {
  const list = JSON.stringify([participantType, batchId, name]);
  return createHash('sha256').update(list).digest('base64url').slice(0, 12);
}

function indexOfCursor(list: string, cursor: string): number {
  const [, digest, index] = /^([\w-]{12})\.(0|[1-9]\d{0,9})$/.exec(cursor) ?? [];
  if (digest !== list || index === undefined) {
    throw new FieldError(
      'BAD_USER_INPUT',
      'after accepts a cursor of the same list of the same batch, as an earlier page had it.',
    );
  }
  return Number(index);
}
