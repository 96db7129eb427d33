import { createHash, randomUUID } from 'node:crypto';
import type { BatchKey } from '../core/batch-key.ts';
import { pause } from '../lib/abort.ts';
import type { Clock } from '../lib/clock.ts';
import { JsonShapes } from '../lib/json-size.ts';
import { LONG_TEXT_LENGTH } from '../lib/long-text.ts';
import type { Redis, RedisReply } from '../lib/redis.ts';
import type { Turns } from '../lib/turns.ts';
import { isOutage, isRefusal } from '../upstream/errors.ts';
import type { StatusAnswer } from '../upstream/outcome.ts';
import type { EndUser } from '../upstream/request.ts';
import { decodeKeptStatus } from '../upstream/response.ts';
import type { FoundStatus, StatusInquiry, StatusSource } from './source.ts';
import { toBatchStatus } from './status.ts';

export interface SharedStatusesOptions {
  /** Who is asked for what the replicas do not have. */
  upstream: Pick<StatusSource, 'getStatus'>;
  redis: Redis;
  clock: Clock;
  turns: Turns;
  /** A number in [0, 1), for jitter. */
  random: () => number;
  tenantId: string;
  /** Tells the tenant's service, and as whom it is asked, from those that others, or other settings, have. */
  serviceId: string;
  /** Statuses in which a batch is finished, in upper case. */
  finishedStatuses: ReadonlySet<string>;
  /** How long a status is fresh, how long that of a finished batch, and how long it serves when the upstream fails, in milliseconds. */
  ttlMs: number;
  finishedTtlMs: number;
  staleMs: number;
  /** The least time between two polls of a batch, in milliseconds. */
  pollMs: number;
  /** The time limit of one call, in milliseconds. */
  callMs: number;
  /** What a status may take in memory once it is parsed, in bytes. */
  maxParsedBytes: number;
}

/** A longer one is not shared, in bytes. */
const MAX_VALUE_BYTES = 1024 * 1024;
/** A status is kept for so long at least, for those who wait for it. */
const MIN_LIFE_MS = 1_000;
/** Beyond the time limit of a call, before another replica takes over. */
const LOCK_MARGIN_MS = 500;
/** A lock lasts so long until whoever took it has said that it knows: a command that was given up may yet be run. */
const UNKNOWN_LOCK_MS = 250;
/** Between two looks of who waits for another replica's call: grows from the first to the longest. */
const LOOK_MS = { first: 10, growth: 1.5, longest: 100 };

/*
 * The scripts get a status (KEYS[1]) and its lock (KEYS[2]). A status is a head, which begins with the version of the
 * format, how long it is fresh, and how long it is kept; then a line feed, and the upstream's text. Its age is what it
 * has lived of that, by Redis's own clock. What anybody else wrote under these keys counts as nothing.
 */

/**
 * ARGV: the longest that counts, in bytes; up to which age it is accepted; 1: and as long as it is fresh; whose lock it
 * is to be, for how long, and the longest that there is (0: none is taken). Returns { 'found', age, status }, or
 * { 'locked', age, older status, if there is one }, or { 'wait', how long the lock of somebody else lasts }.
 */
const LOOK = `
local status, age = false, 0
local length = redis.pcall('STRLEN', KEYS[1])
if type(length) == 'number' and length > 0 and length <= tonumber(ARGV[1]) then
  local text = redis.call('GET', KEYS[1])
  local fresh, life = string.match(text, '^1 (%d+) (%d+) ')
  if fresh then
    age = tonumber(life) - redis.call('PTTL', KEYS[1])
    if age >= 0 and age <= tonumber(life) then status = text end
  end
  if status and (age < tonumber(ARGV[2]) or ARGV[3] == '1' and age < tonumber(fresh)) then
    return { 'found', age, status }
  end
end
local longest = tonumber(ARGV[6])
if longest == 0 then return { 'wait', 0 } end
local left = redis.call('PTTL', KEYS[2])
if left == -1 or left > longest then redis.call('DEL', KEYS[2]) end
if redis.call('SET', KEYS[2], ARGV[4], 'NX', 'PX', ARGV[5]) then
  return { 'locked', age, status or '' }
end
return { 'wait', redis.call('PTTL', KEYS[2]) }
`;

/** ARGV: whose lock it is, and how long it lasts from now on. */
const HOLD = `
if redis.pcall('GET', KEYS[2]) == ARGV[1] then redis.call('PEXPIRE', KEYS[2], ARGV[2]) end
return 1
`;

/** ARGV: whose lock it is, the status, how long it is kept, the channel, who publishes. Not over what a later call brought. */
const PUBLISH = `
local owner = redis.pcall('GET', KEYS[2])
if owner == ARGV[1] then
  redis.call('DEL', KEYS[2])
elseif owner or redis.call('EXISTS', KEYS[1]) == 1 then
  return 0
end
redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[3])
redis.call('PUBLISH', ARGV[4], ARGV[5])
return 1
`;

/** ARGV: whose lock it is; 1: the status is not to be served any more. */
const RELEASE = `
if redis.pcall('GET', KEYS[2]) == ARGV[1] then redis.call('DEL', KEYS[2]) end
if ARGV[2] == '1' then redis.call('DEL', KEYS[1]) end
return 1
`;

/**
 * Statuses that all replicas share through Redis: one of them asks the upstream, under a lock, and publishes the answer
 * to the others. Where Redis fails, or another replica takes too long, the upstream is asked as if there was no other.
 * Nobody waits for a status to be published.
 */
export function createSharedStatuses(options: SharedStatusesOptions): StatusSource {
  const { upstream, redis, clock, turns, random, tenantId, serviceId, callMs } = options;
  const replicaId = randomUUID();
  const decoding = { shapes: new JsonShapes(), maxParsedBytes: options.maxParsedBytes };
  const lockMs = callMs + LOCK_MARGIN_MS;
  /** A status that is younger counts as a poll. */
  const newMs = Math.floor(options.pollMs / 2);
  let locks = 0;

  function placeOf(key: BatchKey, user: EndUser | undefined): Place {
    const id = sharedStatusKey(tenantId, serviceId, key, user);
    return {
      key,
      id,
      keys: [`${redis.namespace('status')}:{${id}}`, `${redis.namespace('lock')}:{${id}}`],
    };
  }

  /** Undefined for what is none of ours. */
  async function decode(
    { key, id }: Place,
    ageMs: number,
    text: string,
  ): Promise<FoundStatus | undefined> {
    const end = text.indexOf('\n');
    const [, fetchedAt, writtenFor] = HEAD.exec(text.slice(0, Math.max(end, 0))) ?? [];
    if (writtenFor !== id) return undefined;
    if (text.length > LONG_TEXT_LENGTH) await turns.next(key.participantType);
    const kept = { text: text.slice(end + 1), fetchedAt: new Date(Number(fetchedAt)) };
    const answer = decodeKeptStatus(key, kept, decoding);
    return answer && { ...answer, ageMs };
  }

  /** What publishes a status; undefined for one that is not to be shared. */
  function encode({ key, id }: Place, { envelope, fetchedAt, size }: StatusAnswer) {
    const { finishedStatuses, ttlMs, finishedTtlMs, staleMs } = options;
    const { finished } = toBatchStatus({ key, envelope, fetchedAt, size, finishedStatuses });
    const freshMs = finished ? finishedTtlMs : ttlMs;
    const lifeMs = Math.max(freshMs, staleMs, MIN_LIFE_MS);
    // Where there is no text of it, something was redacted.
    const { data, request, text = JSON.stringify({ data, request }) } = envelope;
    const value = `1 ${freshMs} ${lifeMs} ${fetchedAt.getTime()} ${id}\n${text}`;
    return Buffer.byteLength(value) > MAX_VALUE_BYTES ? undefined : { value, lifeMs };
  }

  function release({ keys }: Place, lock: string, isDropped: boolean): void {
    void redis.run(RELEASE, keys, [lock, isDropped ? 1 : 0]);
  }

  function publish(place: Place, lock: string, answer: StatusAnswer): void {
    const encoded = encode(place, answer);
    if (encoded === undefined) release(place, lock, true);
    else {
      const args = [lock, encoded.value, encoded.lifeMs, channelOf(place), replicaId];
      void redis.run(PUBLISH, place.keys, args);
    }
  }

  const channelOf = ({ id }: Place) => `${redis.namespace('published')}:${id}`;

  /** With the lock. `older`: what there was. */
  async function ask(
    place: Place,
    request: StatusInquiry,
    lock: string,
    older: Found,
  ): Promise<FoundStatus> {
    void redis.run(HOLD, place.keys, [lock, lockMs]);
    let answer: StatusAnswer;
    try {
      answer = await upstream.getStatus(place.key, request);
    } catch (error) {
      release(place, lock, isRefusal(error));
      if (!isOutage(error)) throw error;
      const last = await decode(place, older.ageMs, older.text);
      if (last === undefined) throw error;
      return { ...last, staleBecause: error };
    }
    publish(place, lock, answer);
    return answer;
  }

  async function getShared(place: Place, request: StatusInquiry): Promise<FoundStatus> {
    const begunAt = clock.now();
    const remainingMs = request.deadline() - begunAt;
    // There has to be time left for a call of one's own.
    const giveUpAt = begunAt + Math.max(remainingMs / 2, remainingMs - callMs);
    locks += 1;
    const lock = `${replicaId}:${locks}`;
    for (
      let waitMs = LOOK_MS.first;
      ;
      waitMs = Math.min(LOOK_MS.growth * waitMs, LOOK_MS.longest)
    ) {
      // What was fetched since this began is good enough for everybody.
      const sinceMs = Math.floor(clock.now() - begunAt);
      const accepted = request.isPoll ? [newMs + sinceMs, 0] : [sinceMs, 1];
      const args = [MAX_VALUE_BYTES, ...accepted, lock, UNKNOWN_LOCK_MS, lockMs];
      const look = decodeLook(await redis.run(LOOK, place.keys, args));
      if (request.signal.aborted) {
        if (look.kind === 'locked') release(place, lock, false);
        throw request.signal.reason;
      }
      if (look.kind === 'locked') return ask(place, request, lock, look);
      if (look.kind === 'found') {
        const found = await decode(place, look.ageMs, look.text);
        if (found !== undefined) return found;
        release(place, lock, true);
      }
      const leftMs = giveUpAt - clock.now();
      if (look.kind !== 'wait' || leftMs <= 0) return upstream.getStatus(place.key, request);
      const nextMs = Math.min(waitMs * (0.5 + random()), look.lockMs + 1, leftMs);
      await pause(nextMs, clock, request.signal);
    }
  }

  return {
    getStatus: (key, request) =>
      redis.isUsable
        ? getShared(placeOf(key, request.user), request)
        : upstream.getStatus(key, request),
    watch(key, user, onPublished) {
      const place = placeOf(key, user);
      const read = async () => {
        const args = [MAX_VALUE_BYTES, newMs, 0, '', 0, 0];
        const look = decodeLook(await redis.run(LOOK, place.keys, args));
        if (look.kind !== 'found') return;
        const found = await decode(place, look.ageMs, look.text);
        if (found !== undefined) onPublished(found);
      };
      return redis.subscribe(channelOf(place), (publisher) => {
        if (publisher !== replicaId) void read();
      });
    },
  };
}

/** Where the status of a batch is. */
interface Place {
  readonly key: BatchKey;
  /** Part of the keys, and written into the status, too. */
  readonly id: string;
  readonly keys: readonly [status: string, lock: string];
}

/** The version, times, when it was fetched, and what for. */
const HEAD = /^1 \d{1,12} \d{1,12} (\d{1,15}) (\[.*\])$/s;

/** Under which a status is shared. Users are not named. */
export function sharedStatusKey(
  tenantId: string,
  serviceId: string,
  { participantType, batchId }: BatchKey,
  user: EndUser | undefined,
): string {
  const hash =
    user &&
    createHash('sha256')
      .update(JSON.stringify([user.id, user.name]))
      .digest('base64url');
  return JSON.stringify([tenantId, serviceId, participantType, batchId, hash ?? null]);
}

interface Found {
  readonly ageMs: number;
  readonly text: string;
}

type Look =
  | ({ readonly kind: 'found' | 'locked' } & Found)
  | { readonly kind: 'wait'; readonly lockMs: number }
  /** Redis fails. */
  | { readonly kind: 'failed' };

function decodeLook(reply: RedisReply | undefined): Look {
  if (typeof reply !== 'object' || reply === null) return { kind: 'failed' };
  const [kind, ms, text] = reply;
  if (typeof ms !== 'number') return { kind: 'failed' };
  if (kind === 'wait') return { kind, lockMs: Math.max(ms, 0) };
  const isStatus = (kind === 'found' || kind === 'locked') && typeof text === 'string';
  return isStatus ? { kind, ageMs: ms, text } : { kind: 'failed' };
}
