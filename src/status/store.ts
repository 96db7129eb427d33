import { LRUCache } from 'lru-cache';
import type { StatusOrigin } from '../core/request-trace.ts';
import type { CacheUse } from '../core/telemetry.ts';
import { upTo } from '../lib/entry-bound.ts';
import { textBytes } from '../lib/json-size.ts';
import { LONG_TEXT_LENGTH, LongText } from '../lib/long-text.ts';
import { deleteOfTenant } from '../lib/tenant-keys.ts';
import type { BatchStatus } from './status.ts';
import { TextEntries, type TextEntry } from './text-entries.ts';

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

/** The last answer about a batch. */
export type CacheEntry = UnreadEntry | StatusEntry;

/** One that nobody has asked for again. */
export type UnreadEntry = TextEntry | LongTextEntry;

interface LongTextEntry extends Omit<TextEntry, 'text'> {
  readonly text: LongText;
}

/** One that somebody has asked for again. */
interface StatusEntry extends Pick<TextEntry, 'freshUntil' | 'staleUntil'> {
  readonly status: BatchStatus;
}

/** An entry, or its place among those that are not read. */
type KeptEntry = CacheEntry | number;

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
  has(id: string): boolean;
  set(id: string, entry: TextEntry | StatusEntry): void;
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
  readonly #texts = new TextEntries();
  readonly #entries = new LRUCache<string, KeptEntry>({
    max: MAX_ENTRIES,
    maxSize: MAX_ENTRIES_SIZE,
    sizeCalculation: (kept) => ENTRY_SIZE + this.#bytesOf(kept),
    dispose: (kept) => {
      if (typeof kept === 'number') this.#texts.delete(kept);
    },
  });
  /** Keys of those that were not admitted. */
  readonly #turnedAway = new LRUCache<string, true>(upTo(MAX_TURNED_AWAY));

  ofTenant(tenantId: string): TenantStatuses {
    const entries = this.#entries;
    let isClosed = false;
    return {
      get: (id) => (isClosed ? undefined : this.#toEntry(entries.get(id))),
      peek: (id) => (isClosed ? undefined : this.#toEntry(entries.peek(id))),
      admits: (id, bytes) => !isClosed && this.#admits(id, bytes),
      has: (id) => !isClosed && entries.has(id),
      set: (id, entry) => {
        if (!isClosed) entries.set(id, this.#keep(entry));
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

  #keep(entry: TextEntry | StatusEntry): KeptEntry {
    if ('status' in entry) return entry;
    if (entry.text.length > LONG_TEXT_LENGTH) return { ...entry, text: new LongText(entry.text) };
    return this.#texts.add(entry) ?? entry;
  }

  #toEntry(kept: KeptEntry | undefined): CacheEntry | undefined {
    return typeof kept === 'number' ? this.#texts.get(kept) : kept;
  }

  /** What the upstream's answer takes. */
  #bytesOf(kept: KeptEntry): number {
    if (typeof kept === 'number') return this.#texts.textBytes(kept);
    if ('status' in kept) return kept.status.memory.bytes;
    return typeof kept.text === 'string' ? textBytes(kept.text) : kept.text.bytes;
  }

  use(): CacheUse {
    const { size: entries, calculatedSize: bytes } = this.#entries;
    return { hits: this.served.cached, misses: this.misses, entries, bytes };
  }
}
