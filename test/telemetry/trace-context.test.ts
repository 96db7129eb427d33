import { expect, test } from 'vitest';
import {
  createSpanId,
  createTraceId,
  rankOf,
  readTraceState,
} from '../../src/telemetry/trace-context.ts';

const members = (count: number) => Array.from({ length: count }, (_, index) => `k${index}=v`);
const LONGEST_STATE = `a=${'v'.repeat(251)},b=${'v'.repeat(256)}`;

const states: [what: string, tracestate: string | string[] | undefined, read: string][] = [
  ['none', undefined, ''],
  ['one', 'router=a', 'router=a'],
  ['spaces around members, and empty ones', 'a=1 ,\t,b=2,', 'a=1,b=2'],
  ['a tenant, an at sign, and all that keys may have', '0t@a/b*_-=x', '0t@a/b*_-=x'],
  ['a value with spaces inside', 'a=x y!~', 'a=x y!~'],
  ['members that are malformed', 'A=1,a,=b,a=b=c,ä=1,b=ü,c=,good=1', 'good=1'],
  ['one key twice', 'a=new,b=1,a=old', 'a=new,b=1'],
  ['32 members', members(32).join(','), members(32).join(',')],
  ['33 members', members(33).join(','), members(32).join(',')],
  ['a key of 257 characters', `${'k'.repeat(257)}=v,a=1`, 'a=1'],
  ['a value of 257 characters', `a=${'v'.repeat(257)},b=1`, 'b=1'],
  ['512 characters', LONGEST_STATE, LONGEST_STATE],
  ['513 characters', `${LONGEST_STATE},`, ''],
  ['a list, which Node makes of no such header', ['a=1'], ''],
];

test.each(states)(
  'tracestate is passed on without what is malformed: %s',
  (_, tracestate, read) => {
    expect(readTraceState({ tracestate })).toBe(read);
  },
);

test('ids are as W3C Trace Context has them, and no two are the same', () => {
  const traceIds = Array.from({ length: 1_000 }, () => createTraceId(0));
  const spanIds = Array.from({ length: 1_000 }, createSpanId);
  expect(traceIds.filter((id) => !/^[\da-f]{32}$/.test(id))).toEqual([]);
  expect(spanIds.filter((id) => !/^[\da-f]{16}$/.test(id))).toEqual([]);
  expect(new Set([...traceIds, ...spanIds]).size).toBe(2_000);
});

test.each([0, 0.1, 0.5, 1 - 2 ** -32])(
  'the rank of a trace id is the one that it was made with: %s',
  (rank) => {
    expect(rankOf({ traceId: createTraceId(rank) })).toBeCloseTo(rank, 9);
  },
);
