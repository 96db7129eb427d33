import { LRUCache } from 'lru-cache';
import type { StatusOrigin } from '../core/request-trace.ts';
import type { CacheUse } from '../core/telemetry.ts';
import { upTo } from '../lib/entry-bound.ts';
import { textBytes } from '../lib/json-size.ts';
import type { LongText } from '../lib/long-text.ts';
import { deleteOfTenant } from '../lib/tenant-keys.ts';
import type { BatchStatus } from './status.ts';

/** Bounds of what is kept: in number, and in bytes as they are held. */
const MAX_ENTRIES = 10_000;
const MAX_ENTRIES_SIZE = 32 * 1024 * 1024;
/** What is longer is admitted the first time only while so much is not taken. */
const LONG_ENTRY_SIZE = 64 * 1024;
const ROOM_FOR_LONG = (3 / 4) * MAX_ENTRIES_SIZE;
/** Keys that are remembered of those that were not admitted. */
const MAX_TURNED_AWAY = 1_000;
/** What an entry takes beside the upstream's answer: its key, typed fields, dates, its place in the cache. */
const ENTRY_SIZE = 1_024;

/** The last answer about a batch. As long as nobody asks again, it is kept as it came: a single text. */
export interface CacheEntry {
  readonly content: BatchStatus | StatusText;
  /** Until when it may be served, on the clock. */
  readonly freshUntil: number;
  /** Until when it may be served when the upstream fails. */
  readonly staleUntil: number;
}

/** A status that is not read yet. */
export interface StatusText extends Pick<BatchStatus, 'fetchedAt' | 'jsonBytes'> {
  readonly text: string | LongText;
  /** Bytes that it takes in memory at most, once it is read. */
  readonly size: number;
}

/** The last statuses of one tenant, by keys that begin with it. */
export interface TenantStatuses {
  get(id: string): CacheEntry | undefined;
  /** The same, without counting as a use. */
  peek(id: string): CacheEntry | undefined;
  /**
   * Whether an entry of so many bytes is worth to be kept. A long one that nobody has asked for before is not, once
   * most of the room is taken: it would push out what is asked for again. To be asked before the entry is made: V8 makes
   * what is mostly kept where it seldom collects, and keeps there what that refers to.
   */
  admits(id: string, bytes: number): boolean;
  set(id: string, entry: CacheEntry): void;
  delete(id: string): void;
  /** Drops them all, and is empty from then on. */
  close(): void;
}

/** The last statuses of all tenants, bounded together: those that were not used for longest go first. */
export class StatusStore {
  /** Statuses that requesters got since the start, by where they came from. */
  readonly served: Record<StatusOrigin, number> = {
    cached: 0,
    joined: 0,
    fetched: 0,
    shared: 0,
    stale: 0,
  };
  /** Of those that were looked for, how many were not there, or too old. */
  misses = 0;
  readonly #entries = new LRUCache<string, CacheEntry>({
    max: MAX_ENTRIES,
    maxSize: MAX_ENTRIES_SIZE,
    sizeCalculation: ({ content }) =>
      ENTRY_SIZE + ('text' in content ? bytesOf(content.text) : content.memory.bytes),
  });
  /** Keys of those that were not admitted. */
  readonly #turnedAway = new LRUCache<string, true>(upTo(MAX_TURNED_AWAY));

  ofTenant(tenantId: string): TenantStatuses {
    const entries = this.#entries;
    let isClosed = false;
    return {
      get: (id) => (isClosed ? undefined : entries.get(id)),
      peek: (id) => (isClosed ? undefined : entries.peek(id)),
      admits: (id, bytes) => !isClosed && this.#admits(id, bytes),
      set(id, entry) {
        if (!isClosed) entries.set(id, entry);
      },
      delete(id) {
        if (!isClosed) entries.delete(id);
      },
      close() {
        if (isClosed) return;
        isClosed = true;
        deleteOfTenant(entries, tenantId);
      },
    };
  }

  #admits(id: string, bytes: number): boolean {
    if (bytes <= LONG_ENTRY_SIZE || this.#entries.has(id)) return true;
    if (this.#entries.calculatedSize + bytes <= ROOM_FOR_LONG) return true;
    if (this.#turnedAway.delete(id)) return true;
    this.#turnedAway.set(id, true);
    return false;
  }

  use(): CacheUse {
    const { size: entries, calculatedSize: bytes } = this.#entries;
    return { hits: this.served.cached, misses: this.misses, entries, bytes };
  }
}

function bytesOf(text: StatusText['text']): number {
  return typeof text === 'string' ? textBytes(text) : text.bytes;
}
