import { expect, test } from 'vitest';
import { parseJson } from '../../src/lib/json.ts';
import { estimateParsedBytes, JsonShapes } from '../../src/lib/json-size.ts';
import { heapUsed } from '../support/heap.ts';

function list(count: number, element: (index: number) => string): string {
  return `[${Array.from({ length: count }, (_, index) => element(index)).join(',')}]`;
}

function object(names: readonly string[]): string {
  return `{${names.map((name) => `"${name}":1`).join(',')}}`;
}

function names(count: number, prefix = 'n'): string[] {
  return Array.from({ length: count }, (_, index) => `${prefix}${index.toString(36)}`);
}

const base36 = (index: number) => index.toString(36);

/** What takes most for its length, and what batches are made of. */
const texts: [name: string, text: string][] = [
  ['empty objects', list(100_000, () => '{}')],
  ['empty lists', list(100_000, () => '[]')],
  ['lists in lists', list(1_000, () => '['.repeat(150) + ']'.repeat(150))],
  ['objects in objects', list(500, () => `${'{"":'.repeat(150)}0${'}'.repeat(150)}`)],
  ['small integers', list(200_000, () => '1')],
  ['large numbers', list(100_000, () => '9e9')],
  ['large numbers in objects', list(50_000, () => '{"k":9e9}')],
  ['numbers beyond JavaScript', list(20_000, () => '9007199254740993')],
  ['numbers with an exponent', list(20_000, () => '1e999')],
  ['short texts', list(50_000, (index) => `"${base36(index)}"`)],
  ['texts beyond Latin-1', list(20_000, (index) => `"${'ā'.repeat(20)}${base36(index)}"`)],
  ['texts that are escaped', list(20_000, (index) => `"\\u0101${'a'.repeat(50)}${index}"`)],
  ['null', list(100_000, () => 'null')],
  ['objects of the same names', list(20_000, () => object(names(5)))],
  ['objects of 128 names', list(1_000, () => object(names(128)))],
  ['objects of 700 names', list(200, () => object(names(700)))],
  ['objects of another name each', list(30_000, (index) => `{"${base36(index)}":1}`)],
  ['objects of 1,500 names', list(50_000, (index) => `{"${base36(index % 1_500)}q":1}`)],
  ['objects of 3,000 names', list(50_000, (index) => `{"${base36(index % 3_000)}q":1}`)],
  ['objects of 40 names of their own', list(500, (index) => object(names(40, `${index}n`)))],
  ['one object of 50,000 names', object(names(50_000))],
  ['an array index', list(20_000, () => '{"34":1}')],
  ['a large array index', list(20_000, () => '{"499":1}')],
  ['six array indices', list(5_000, () => '{"0":1,"1":1,"2":1,"3":1,"4":1,"142":1}')],
  ['twelve', list(3_000, () => object([...Array.from({ length: 11 }, (_, i) => `${i}`), '286']))],
  ['statuses by id', object(Array.from({ length: 20_000 }, (_, i) => `${i * 7_919 + 1_000_000}`))],
];

const records: [name: string, text: string][] = [
  ['records', list(20_000, record)],
  ['records with blanks', JSON.stringify(JSON.parse(list(20_000, record)), null, 2)],
  [
    'records without reasons',
    list(50_000, (index) => JSON.stringify({ refID: `r-${index}`, id: `${index}` })),
  ],
  [
    'records of orders',
    list(20_000, (index) =>
      JSON.stringify({ id: `o-${index}`, errors: [{ message: 'No such place', code: 1234 }] }),
    ),
  ],
];

function record(index: number): string {
  return JSON.stringify({
    refID: `r-${index}`,
    id: `participant-${index}`,
    reason: 'The licence number is not known',
  });
}

/** Bytes that the value of a text takes: the median of five, since other things happen in the heap, too. */
function measure(text: string): number {
  const taken = Array.from({ length: 5 }, () => measureOnce(text)).toSorted((a, b) => a - b);
  return taken[2] ?? Number.NaN;
}

/** Its members are looked at as the gateway does. */
function measureOnce(text: string): number {
  const before = heapUsed();
  const value = parseJson(text);
  const members = countMembers(value);
  const taken = heapUsed() - before;
  expect(members).toBe(countMembers(value));
  return taken;
}

function countMembers(value: unknown): number {
  if (typeof value !== 'object' || value === null) return 1;
  let count = 1;
  for (const name in value) count += countMembers(Reflect.get(value, name));
  return count;
}

for (const [name, text] of [...texts, ...records]) {
  test(`91: the estimate of ${name} is no less than what they take`, () => {
    // Of which a hundredth is what else happens in the heap.
    expect(estimateParsedBytes(text)).toBeGreaterThan(0.98 * measure(text));
  });
}

test('91: a list of records takes three bytes for one of its text, and is estimated at five', () => {
  for (const [, text] of records) {
    expect(estimateParsedBytes(text)).toBeLessThan(5 * text.length);
  }
});

test('91: texts, names and blanks are told apart', () => {
  const bytes = estimateParsedBytes('{"a":"{}"}');
  expect(estimateParsedBytes(' {\n"a" :\t"[]" }')).toBe(bytes);
  expect(estimateParsedBytes('{"a":"\\"}"}')).toBe(bytes + 5);
  expect(estimateParsedBytes('{"a":"\\\\"}')).toBe(bytes + 3);
});

test('91: counting stops beyond what is enough, and where text is no JSON', () => {
  expect(estimateParsedBytes(texts[0]?.[1] ?? '', 1_000)).toBeLessThan(1_100);
  expect(estimateParsedBytes('["')).toBeLessThan(100);
  expect(estimateParsedBytes('<p>')).toBe(0);
  expect(estimateParsedBytes('['.repeat(100_000))).toBeLessThan(100_000);
});

test('91: names that objects had before, in this order, add nothing; those that are forgotten do', () => {
  const shapes = new JsonShapes();
  const add = (...path: string[]) => {
    let shape = shapes.root;
    let bytes = 0;
    for (const name of path) {
      bytes += shapes.bytesOfName(shape, name, 1);
      shape = shapes.with(shape, name);
    }
    return bytes;
  };
  const first = add('id', 'name');
  expect(first).toBeGreaterThan(400);
  expect(add('id', 'name')).toBe(0);
  expect(add('name', 'id')).toBe(first);
  for (let index = 0; index < 5_000; index += 1) add('id', `x${index}`);
  expect(add('id', 'name')).toBeGreaterThan(0);
  expect(add('id', 'name')).toBe(0);
  const long = 'x'.repeat(1_000);
  expect(add(long, 'id')).toBe(add(long, 'id'));
});
