import fc from 'fast-check';
import { expect, test } from 'vitest';
import { decodeTenantFile } from '../../src/config/tenant-file.ts';

function faultOf(text: string): string {
  try {
    decodeTenantFile(text);
    return 'none';
  } catch (error) {
    return error instanceof Error ? error.message : '';
  }
}

test('values are texts as the environment would have them, each with its line', () => {
  const text = `\ufeff{ "A": "a \\u00e9\\n", "B": 1e3,\r\n"C": true,\r"D": false,\n\n"E": ["x", "y", 2], "": "z"\n}\n`;
  expect(decodeTenantFile(text)).toEqual([
    { name: 'A', line: 1, text: 'a é\n' },
    { name: 'B', line: 1, text: '1e3' },
    { name: 'C', line: 2, text: 'on' },
    { name: 'D', line: 3, text: 'off' },
    { name: 'E', line: 5, text: 'x,y,2' },
    { name: '', line: 5, text: 'z' },
  ]);
  expect(decodeTenantFile('{}')).toEqual([]);
});

test.each(['null', '{}', '{"a":{"b":[1]}}', '[]', '["a,b"]', '["a",null]', '[["a"]]', '["a"," "]'])(
  'the value %s is none that a setting could have',
  (value) => {
    expect(decodeTenantFile(`{"A":${value},"B":"b"}`)).toEqual([
      { name: 'A', line: 1, text: undefined },
      { name: 'B', line: 1, text: 'b' },
    ]);
  },
);

test.each([
  ['', 'is not a JSON object (line 1)'],
  ['\n\n[]', 'is not a JSON object (line 3)'],
  ['"canary"', 'is not a JSON object (line 1)'],
  ['canary', 'is not JSON (line 1)'],
  ['{"A":1', 'has no comma or } where one should be (line 1)'],
  ['{', 'has no name in quotes where one should be (line 1)'],
  ['{"A":1,}', 'has no name in quotes where one should be (line 1)'],
  ['{\n"A":1\n"B":2}', 'has no comma or } where one should be (line 3)'],
  ['{"A"\n"B"}', 'has no colon after a name (line 2)'],
  ['{"A":\n}', 'has no value where one should be (line 2)'],
  ['{"A":[1 2]}', 'has no comma or ] where one should be (line 1)'],
  ['{"A":[1,]}', 'has no value where one should be (line 1)'],
  ['{"A":1}\n{}', 'goes on after the end of its object (line 2)'],
  ['{\n  // canary\n}', 'has a comment, which JSON does not know (line 2)'],
  ['{"A":1, /* canary */ "B":2}', 'has a comment, which JSON does not know (line 1)'],
  ['{"A":1,\n# canary\n"B":2}', 'has a comment, which JSON does not know (line 2)'],
  ["{'A':'canary'}", 'is not JSON (line 1)'],
  ['{A:"canary"}', 'is not JSON (line 1)'],
  ['{"A":01}', 'has no comma or } where one should be (line 1)'],
  ['{"A":.5}', 'is not JSON (line 1)'],
  ['{"A":NaN}', 'is not JSON (line 1)'],
  ['{"A":"canary', 'is not JSON (line 1)'],
  [
    '{\n"A":"canary\n"}',
    'has a text with a line break in it, or an escape that JSON does not know (line 2)',
  ],
  [
    '{"A":"\\x63anary"}',
    'has a text with a line break in it, or an escape that JSON does not know (line 1)',
  ],
  [`{"A":${'['.repeat(100_000)}`, 'is nested too deep (line 1)'],
])('the fault of %j is told by its line, and nothing of the text', (text, fault) => {
  expect(faultOf(text)).toBe(fault);
});

/** With what is next to JSON, and with much that is it. */
const almostJson = fc
  .array(
    fc
      .constantFrom('{', '}', '[', ']', ':', ',', '"a"', '"b\\n"', '1', '-0.5e+1', 'true', 'null')
      .chain((token) => fc.constantFrom(token, token, ` ${token}`, `\n${token}`)),
    { maxLength: 12 },
  )
  .map((tokens) => tokens.join(''));

test('what JSON.parse takes for an object is read, with its last values; nothing else is', () => {
  let objects = 0;
  const isObject = (text: string): boolean => {
    try {
      const value: unknown = JSON.parse(text);
      return typeof value === 'object' && value !== null && !Array.isArray(value);
    } catch {
      return false;
    }
  };
  const texts = fc.oneof(
    almostJson,
    almostJson.map((text) => `{"a":${text}}`),
    fc.json({ maxDepth: 4 }),
    fc
      .dictionary(fc.string(), fc.oneof(fc.string(), fc.boolean()))
      .map((value) => JSON.stringify(value, null, 2)),
  );
  fc.assert(
    fc.property(texts, (text) => {
      expect(faultOf(text) === 'none').toBe(isObject(text));
      if (!isObject(text)) return;
      objects += 1;
      const read = new Map(decodeTenantFile(text).map((entry) => [entry.name, entry.text]));
      const values = Object.entries(JSON.parse(text));
      expect([...read.keys()].toSorted()).toEqual(values.map(([name]) => name).toSorted());
      for (const [name, value] of values) {
        if (typeof value === 'string') expect(read.get(name)).toBe(value);
        if (typeof value === 'boolean') expect(read.get(name)).toBe(value ? 'on' : 'off');
        if (typeof value === 'number') expect(Number(read.get(name))).toBe(value);
      }
    }),
    { numRuns: 2_000 },
  );
  expect(objects).toBeGreaterThan(300);
});
