/** A body that somebody sends who means harm, or whose tooling has run wild. */
export interface HostileBody {
  name: string;
  body: string;
}

/** The longest body that the gateway reads, by its default. */
const MAX_BYTES = 64 * 1024;
/** The most tokens of a document, by default. */
const MAX_TOKENS = 1_000;

/** As many repetitions of a part as fit between what comes before and after, and no more than `most`. */
function filled(
  before: string,
  part: (index: number) => string,
  after: string,
  most = Number.POSITIVE_INFINITY,
): string {
  const parts: string[] = [];
  let left = MAX_BYTES - 200 - escapedLength(before + after);
  for (let index = 0; index < most; index += 1) {
    const next = part(index);
    left -= escapedLength(next);
    if (left < 0) break;
    parts.push(next);
  }
  return before + parts.join('') + after;
}

/** In a JSON text. */
function escapedLength(text: string): number {
  return Buffer.byteLength(JSON.stringify(text));
}

function document(query: string, variables?: unknown): string {
  return JSON.stringify({ query, variables });
}

const STATUS = 'batchStatus(participantType: "vehicles")';
const ENTITIES = 'query ($them: [_Any!]!) { _entities(representations: $them) { __typename } }';

function references(part: (index: number) => object): string {
  const them: object[] = [];
  for (let index = 0; document(ENTITIES, { them }).length < MAX_BYTES - 200; index += 1) {
    them.push(part(index));
  }
  return document(ENTITIES, { them: them.slice(0, -1) });
}

/** Families of documents, each as long as it may be, or as large as a limit lets it be. */
export function hostileBodies(): HostileBody[] {
  const families: [name: string, body: string][] = [
    ['one field, over and over', document(filled('{', () => '__typename ', '}'))],
    [
      'as many fields as there may be tokens',
      document(filled('{', () => '__typename ', '}', MAX_TOKENS - 2)),
    ],
    ['fields that cost all there is', document(filled(`{${STATUS}{`, () => 'id ', '}}', 490))],
    ['aliases', document(filled('{', (index) => `a${index}:__typename `, '}'))],
    [
      'aliases up to the limit, of different batches',
      document(
        filled(
          '{',
          (index) =>
            `a${index}:batchStatus(participantType:"vehicles",batchId:"b${index}"){data dataAt(pointer:"/status")} `,
          '}',
          20,
        ),
      ),
    ],
    [
      'unknown fields, for which names are suggested',
      document(filled(`{${STATUS}{`, (index) => `statu${index} `, '}}', 490)),
    ],
    [
      'unknown arguments',
      document(
        filled(
          `{batchStatus(participantType:"vehicles"`,
          (index) => ` batchI${index}:1`,
          '){id}}',
          300,
        ),
      ),
    ],
    ['unknown directives', document(filled('{__typename', (index) => `@inclde${index}`, '}', 30))],
    ['directives', document(filled('{__typename', () => '@skip(if:false)', '}'))],
    [
      'unused fragments',
      document(
        filled('{__typename}', (index) => `fragment F${index} on Query{__typename}`, '', 110),
      ),
    ],
    ['unknown types', document(filled('{', (index) => `...on Batch${index}{id}`, '}', 140))],
    [
      'unused variables',
      document(filled('query(', (index) => `$v${index}:String `, '){__typename}', 230)),
    ],
    [
      'variables of unknown types',
      document(filled('query(', (index) => `$v${index}:Strng `, '){__typename}', 230)),
    ],
    ['operations', document(filled('', (index) => `query Q${index}{__typename}`, '', 190))],
    ['operations of one name', document(filled('', () => 'query Q{__typename}', '', 190))],
    [
      'fields in conflict',
      document(filled(`{${STATUS}{`, (index) => `dataAt(pointer:"/${index}")`, '}}', 150)),
    ],
    [
      'fields in conflict, in nested fragments',
      document(
        filled(
          `{${STATUS}{...A ...B}}fragment A on BatchStatus{`,
          (index) => `...on BatchStatus{x:dataAt(pointer:"/${index}")}`,
          '}fragment B on BatchStatus{x:id}',
          28,
        ),
      ),
    ],
    [
      'fragments spread by each other',
      document(
        filled(
          '{...F0}',
          (index) => `fragment F${index} on Query{...F${index + 1} ...F${index + 1}}`,
          '',
          80,
        ),
      ),
    ],
    [
      'fragments spread in a circle',
      document(
        filled(
          '{...F0}fragment F79 on Query{...F0}',
          (index) => `fragment F${index} on Query{...F${index + 1}}`,
          '',
          79,
        ),
      ),
    ],
    [
      'each fragment spread in each',
      document(
        filled(
          '{...F0}',
          (index) =>
            `fragment F${index} on Query{${Array.from({ length: 24 }, (_, other) => `...F${other}`).join('')}}`,
          '',
          24,
        ),
      ),
    ],
    ['selection sets in each other', document(filled('', () => '{a', ''))],
    ['inline fragments in each other', document(filled('', () => '{...', ''))],
    ['lists in each other', document(filled('{a(b:', () => '[', ''))],
    ['objects in each other', document(filled('{a(b:', () => '{c:', ''))],
    ['types in each other', document(filled('query($a:', () => '[', ''))],
    ['one long name', document(filled('{', () => 'a', '}'))],
    ['one long string', document(filled('{batchStatus(participantType:"', () => 'é', '"){id}}'))],
    [
      'a string of escapes',
      document(filled('{batchStatus(participantType:"', () => '\\u{1F69A}', '"){id}}')),
    ],
    [
      'a block string of many lines',
      document(filled('{batchStatus(participantType:"""', () => '\n ', '"""){id}}')),
    ],
    ['a string without an end', document(filled('{batchStatus(participantType:"', () => 'a', ''))],
    ['comments', document(filled('{', () => '#\n', '__typename}'))],
    ['commas', document(filled('{', () => ',', '__typename}'))],
    ['one long number', document(filled('{batchStatus(participantType:', () => '9', '){id}}'))],
    ['a spread of dots', document(filled('{', () => '.', '}'))],
    [
      'introspection, deep',
      document(`{__schema{types{fields{type{${'ofType{'.repeat(14)}name${'}'.repeat(18)}`),
    ],
    [
      'introspection, wide',
      document(filled('{__schema{types{', () => 'fields{name args{name}type{name}}', '}}}', 70)),
    ],
    [
      'all that introspection has, as often as it may',
      document(
        '{__schema{types{...T}}}fragment T on __Type{name kind fields{name args{name type{...R}}type{...R}}}fragment R on __Type{name ofType{name ofType{name ofType{name ofType{name ofType{name ofType{name}}}}}}}',
      ),
    ],
    ['the SDL', document('{_service{sdl}}')],
    ['references to one batch', references(() => ({ __typename: 'BatchStatus', id: 'vehicles' }))],
    [
      'references to different batches',
      references((index) => ({ __typename: 'BatchStatus', id: `vehicles/${index}` })),
    ],
    ['faulty references', references(() => ({}))],
    [
      'references that are objects in each other',
      document(ENTITIES, { them: [JSON.parse(`${'{"a":'.repeat(6_000)}1${'}'.repeat(6_000)}`)] }),
    ],
    [
      'a wide variable',
      document('query($t:String!){batchStatus(participantType:$t){id}}', {
        t: Array.from({ length: 12_000 }, (_, index) => index),
      }),
    ],
    [
      'a deep variable',
      document('query($t:String!){batchStatus(participantType:$t){id}}', {
        t: JSON.parse(`${'['.repeat(30_000)}${']'.repeat(30_000)}`),
      }),
    ],
    [
      'variables that nobody asked for',
      document(
        '{__typename}',
        Object.fromEntries(Array.from({ length: 4_500 }, (_, index) => [`v${index}`, index])),
      ),
    ],
    [
      'a faulty pointer of many parts',
      document(filled(`{${STATUS}{dataAt(pointer:"`, () => '/a', '")}}')),
    ],
    [
      'a batch id of 60 KB',
      document('query($b:ID){batchStatus(participantType:"vehicles",batchId:$b){id}}', {
        b: 'x'.repeat(60_000),
      }),
    ],
    ['JSON nested to the end', '['.repeat(MAX_BYTES)],
    ['JSON with one member many times', `{${'"query":"{__typename}",'.repeat(2_800)}"x":1}`],
    ['JSON of escapes', `{"query":"${'\\u007b'.repeat(10_000)}"}`],
    [
      'an operation name of 60 KB',
      JSON.stringify({ query: '{__typename}', operationName: 'x'.repeat(60_000) }),
    ],
    [
      'extensions',
      JSON.stringify({ query: '{__typename}', extensions: { a: 'x'.repeat(60_000) } }),
    ],
    ['an array of requests', `[${'{"query":"{__typename}"},'.repeat(2_600)}{}]`],
  ];
  return families.map(([name, body]) => ({ name, body }));
}
