import fc from 'fast-check';
import { expect, test } from 'vitest';
import { type BatchKey, parseBatchKey } from '../../src/core/batch-key.ts';
import { isEchoOf } from '../../src/upstream/echo.ts';

type Spelling = (text: string) => string;

const inForm: Spelling = (text) => new URLSearchParams({ x: text }).toString().slice(2);
const spellings: Record<string, Spelling> = {
  'as it is': (text) => text,
  encoded: encodeURIComponent,
  'encoded, with small hex digits': (text) =>
    encodeURIComponent(text).replace(/%../g, (byte) => byte.toLowerCase()),
  'encoded as in a form': inForm,
  'encoded twice': (text) => encodeURIComponent(encodeURIComponent(text)),
  'in small letters': (text) => text.toLowerCase(),
};

const origins = ['', 'https://tenant.example.com', '/base', 'http://10.0.0.1:8080/participants/x'];
/** Where the id is: in the query string, in the uri, in both, in neither. */
type Place = 'query string' | 'uri' | 'both' | 'neither';
interface Way {
  origin: string;
  typeAs: string;
  idAs: string;
  parameter: string;
  mark: string;
  before: string;
  behind: string;
  place: Place;
}

function echoOf({ participantType, batchId }: BatchKey, way: Way) {
  const spelled = (text: string, how: string) => (spellings[how] ?? encodeURIComponent)(text);
  const path = `${way.origin}/core/api/v2/participants/${spelled(participantType, way.typeAs)}/batch/status`;
  const id = batchId === null ? '' : `${way.parameter}=${spelled(batchId, way.idAs)}`;
  const query = `${way.before}${id}${way.behind}`;
  const [inUri, inQuery] = [way.place !== 'query string', way.place !== 'uri'];
  return {
    uri: inUri && way.place !== 'neither' ? `${path}?${query}` : path,
    method: 'GET',
    queryString: inQuery && way.place !== 'neither' ? `${way.mark}${query}` : '',
    body: null,
  };
}

const anyWay: fc.Arbitrary<Way> = fc.record({
  origin: fc.constantFrom(...origins),
  typeAs: fc.constantFrom(...Object.keys(spellings)),
  idAs: fc.constantFrom(...Object.keys(spellings)),
  parameter: fc.constantFrom('batchId', 'batchid', 'BATCHID'),
  mark: fc.constantFrom('', '?'),
  before: fc.constantFrom('', 'x=1&', 'x=&y=%26&'),
  behind: fc.constantFrom('', '&y=2', '#end'),
  place: fc.constantFrom<Place>('query string', 'uri', 'both', 'neither'),
});

const PIECES = [
  ...['a', 'B', '7', '-', '.', '..', ' ', '+', '%', '%2', '%2F', '%2f', '%41', '%26', '%25', '%3F'],
  ...['&', '#', '?', '=', ';', '"', '{', ':', '@', 'batchid=', 'batchId=', '&batchid=x', 'x#y'],
  ...['participants', 'vehicles', 'batch', 'status', 'Σ', 'ΑΣ', 'İ', 'ß', 'ü', '𝒳', '\u2028', "'"],
];
const trickyText = fc.array(fc.constantFrom(...PIECES), { minLength: 1, maxLength: 6 });
const pathPieces = fc.constantFrom('/', '\\', '/participants/', '/batch/status', '?batchid=');
const anyText = fc.oneof(
  trickyText.map((pieces) => pieces.join('')),
  fc
    .tuple(trickyText, pathPieces, trickyText)
    .map(([before, path, after]) => [...before, path, ...after].join('')),
  fc.string({ unit: 'grapheme', minLength: 1, maxLength: 20 }),
);

function isAccepted({ participantType, batchId }: BatchKey): boolean {
  try {
    parseBatchKey(participantType, batchId, new Set());
    return true;
  } catch {
    return false;
  }
}

const anyKey: fc.Arbitrary<BatchKey> = fc
  .record({ participantType: anyText, batchId: fc.option(anyText) })
  .filter(isAccepted);
const plainText = fc.stringMatching(/^[a-z][a-z0-9-]{0,8}$/);
const plainKey = fc.record({ participantType: plainText, batchId: plainText });

test('81: the echo of a request is never taken for the echo of another, whatever is asked for, in any known spelling', () => {
  fc.assert(
    fc.property(anyKey, anyWay, (key, way) => {
      expect(isEchoOf(key, echoOf(key, way))).toBe(true);
    }),
    { numRuns: 20_000 },
  );
});

test('37: the echo of a request for another type or id is found in every spelling', () => {
  fc.assert(
    fc.property(anyKey, plainKey, anyWay, (key, other, way) => {
      fc.pre(way.place !== 'neither');
      fc.pre(key.participantType.toLowerCase() !== other.participantType);
      fc.pre(!key.batchId?.toLowerCase().startsWith(other.batchId));
      const { participantType } = other;
      expect(isEchoOf(key, echoOf({ ...key, batchId: other.batchId }, way))).toBe(false);
      expect(isEchoOf(key, echoOf({ participantType, batchId: key.batchId }, way))).toBe(false);
    }),
    { numRuns: 5_000 },
  );
});

const own: [participantType: string, batchId: string | null, uri: string, queryString: string][] = [
  ['vehicles', '&batchid=x', '', 'batchId=&batchid=x'],
  ['vehicles', '&batchid=x', '', '?batchId=%26batchid%3Dx'],
  ['vehicles', 'x#y', '', 'batchId=x#y'],
  ['vehicles', '#y', '', 'batchId=#y'],
  ['vehicles', 'a&b=c', '', 'batchId=a&b=c'],
  ['vehicles', 'a&b=c', '', 'batchId=a&b=c&z=1'],
  ['vehicles', '%26', '', 'batchId=%2526'],
  ['vehicles', '%26', '', 'batchId=%26'],
  ['vehicles', '+', '', 'batchId=+'],
  ['vehicles', '+', '', 'batchId=%2B'],
  ['vehicles', 'a b', '', 'batchId=a+b'],
  ['vehicles', 'x?batchid=y', '/participants/vehicles/batch/status?batchid=x?batchid=y', ''],
  [
    'vehicles',
    '/participants/drivers/batch/status',
    '/status?batchId=/participants/drivers/batch/status',
    '',
  ],
  [
    'vehicles',
    '/batch/status?batchid=x',
    '/participants/vehicles/batch/status?batchid=/batch/status?batchid=x',
    '',
  ],
  ['a?batchid=x', null, '/participants/a?batchid=x/batch/status', ''],
  ['a?batchid=x', 'y', '/participants/a?batchid=x/batch/status?batchid=y', ''],
  ['a#b', 'y', '/participants/a#b/batch/status', 'batchid=y'],
  ['a&b', 'y', '/participants/a&b/batch/status', 'batchid=y'],
  ['a%2Fb', 'y', '/participants/a%252Fb/batch/status', ''],
  ['a%2Fb', 'y', '/participants/a%2Fb/batch/status', ''],
  [
    'a%2Fbatch%2Fstatus%3Fbatchid=x',
    null,
    '/participants/a%2Fbatch%2Fstatus%3Fbatchid=x/batch/status',
    '',
  ],
  ['participants', 'y', '/core/api/v2/participants/participants/batch/status', ''],
  ['vehicles', 'y', '%2Fparticipants%2Fvehicles%2Fbatch%2Fstatus%3FbatchId%3Dy', ''],
  ['vehicles', null, '/participants/vehicles/batch/status?batchid=', '?batchId=&x=1'],
];

test.each(own)(
  '81: of %j and %j are the echoes %j and %j',
  (participantType, batchId, uri, queryString) => {
    expect(
      isEchoOf({ participantType, batchId }, { uri, queryString, method: null, body: null }),
    ).toBe(true);
  },
);

const foreign: typeof own = [
  ['vehicles', 'y', '/participants/drivers/batch/status', ''],
  ['vehicles', 'y', '%2Fparticipants%2Fdrivers%2Fbatch%2Fstatus', ''],
  ['vehicle', 'y', '/participants/vehicles/batch/status', ''],
  ['participants', 'y', '/core/api/v2/participants/drivers/batch/status', ''],
  ['a', 'y', '/participants/a?b/batch/status', ''],
  ['vehicles', '&batchid=x', '', 'batchId=x'],
  ['vehicles', 'x', '', 'batchId=%26batchid%3Dx'],
  ['vehicles', 'x', '', 'batchId=xx'],
  ['vehicles', 'x', '/participants/vehicles/batch/status?y=x&batchId=z', ''],
  ['vehicles', null, '', 'batchId=x'],
  ['a?batchid=x', null, '/participants/a?batchid=x/batch/status?batchid=y', ''],
];

test.each(foreign)(
  '37: not of %j and %j are the echoes %j and %j',
  (participantType, batchId, uri, queryString) => {
    expect(
      isEchoOf({ participantType, batchId }, { uri, queryString, method: null, body: null }),
    ).toBe(false);
  },
);
