/** A body that somebody sends who means harm, or whose tooling has run wild. */
export type Body = readonly [name: string, body: string];

/** The longest body that the gateway reads, by its default. */
const MAX_BYTES = 64 * 1024;
/** The most tokens of a document, by default. */
const MAX_TOKENS = 1_000;

const STATUS = '{batchStatus(participantType: "vehicles"){';
const ONE_STATUS = 'batchStatus(participantType:"';
const ENTITIES = 'query ($them: [_Any!]!) { _entities(representations: $them) { __typename } }';
const DEEP_OBJECT: unknown = JSON.parse(`${'{"a":'.repeat(6_000)}1${'}'.repeat(6_000)}`);
const DEEP_LIST: unknown = JSON.parse(`${'['.repeat(30_000)}${']'.repeat(30_000)}`);
const OF_BATCH = 'query($b:ID){batchStatus(participantType:"vehicles",batchId:$b){id}}';
const OF_TYPE = 'query($t:String!){batchStatus(participantType:$t){id}}';

/**
 * Documents: their name, what comes before, a part that comes again and again, and what comes after; as long as a body may be, but
 * of no more parts than the last says. `%` is the number of the part, `&` the next one.
 */
const DOCUMENTS: readonly (readonly [string, string, string, string, number?])[] = [
  ['one field, over and over', '{', '__typename ', '}'],
  ['as many fields as there may be tokens', '{', '__typename ', '}', MAX_TOKENS - 2],
  ['fields that cost all there is', STATUS, 'id ', '}}', 490],
  ['aliases', '{', 'a%:__typename ', '}'],
  [
    'aliases up to the limit, of different batches',
    '{',
    'a%:batchStatus(participantType:"vehicles",batchId:"b%"){data dataAt(pointer:"/status")} ',
    '}',
    20,
  ],
  ['unknown fields, for which names are suggested', STATUS, 'statu% ', '}}', 490],
  ['unknown arguments', `{${ONE_STATUS}vehicles"`, ' batchI%:1', '){id}}', 300],
  ['unknown directives', '{__typename', '@inclde%', '}', 30],
  ['directives', '{__typename', '@skip(if:false)', '}'],
  ['unused fragments', '{__typename}', 'fragment F% on Query{__typename}', '', 110],
  ['unknown types', '{', '...on Batch%{id}', '}', 140],
  ['unused variables', 'query(', '$v%:String ', '){__typename}', 230],
  ['variables of unknown types', 'query(', '$v%:Strng ', '){__typename}', 230],
  ['operations', '', 'query Q%{__typename}', '', 190],
  ['operations of one name', '', 'query Q{__typename}', '', 190],
  ['fields in conflict', STATUS, 'dataAt(pointer:"/%")', '}}', 150],
  [
    'fields in conflict, in nested fragments',
    `${STATUS}...A ...B}}fragment A on BatchStatus{`,
    '...on BatchStatus{x:dataAt(pointer:"/%")}',
    '}fragment B on BatchStatus{x:id}',
    28,
  ],
  ['fragments spread by each other', '{...F0}', 'fragment F% on Query{...F& ...F&}', '', 80],
  [
    'fragments spread in a circle',
    '{...F0}fragment F79 on Query{...F0}',
    'fragment F% on Query{...F&}',
    '',
    79,
  ],
  ['each fragment spread in each', '{...F0}', `fragment F% on Query{${spreads(24)}}`, '', 24],
  ['selection sets in each other', '', '{a', ''],
  ['inline fragments in each other', '', '{...', ''],
  ['lists in each other', '{a(b:', '[', ''],
  ['objects in each other', '{a(b:', '{c:', ''],
  ['types in each other', 'query($a:', '[', ''],
  ['one long name', '{', 'a', '}'],
  ['one long string', `{${ONE_STATUS}`, 'é', '"){id}}'],
  ['a string of escapes', `{${ONE_STATUS}`, '\\u{1F69A}', '"){id}}'],
  ['a block string of many lines', `{${ONE_STATUS}""`, '\n ', '"""){id}}'],
  ['a string without an end', `{${ONE_STATUS}`, 'a', ''],
  ['comments', '{', '#\n', '__typename}'],
  ['commas', '{', ',', '__typename}'],
  ['one long number', '{batchStatus(participantType:', '9', '){id}}'],
  ['a spread of dots', '{', '.', '}'],
  ['introspection, wide', '{__schema{types{', 'fields{name args{name}type{name}}', '}}}', 70],
  ['a faulty pointer of many parts', `${STATUS}dataAt(pointer:"`, '/a', '")}}'],
];

/** Whole bodies. */
const BODIES: readonly Body[] = [
  [
    'introspection, deep',
    document(`{__schema{types{fields{type{${'ofType{'.repeat(14)}name${'}'.repeat(18)}`),
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
  ['references that are objects in each other', document(ENTITIES, { them: [DEEP_OBJECT] })],
  [
    'a wide variable',
    document(OF_TYPE, { t: Array.from({ length: 12_000 }, (_, index) => index) }),
  ],
  ['a deep variable', document(OF_TYPE, { t: DEEP_LIST })],
  [
    'variables that nobody asked for',
    document(
      '{__typename}',
      Object.fromEntries(Array.from({ length: 4_500 }, (_, index) => [`v${index}`, index])),
    ),
  ],
  ['a batch id of 60 KB', document(OF_BATCH, { b: 'x'.repeat(60_000) })],
  ['JSON nested to the end', '['.repeat(MAX_BYTES)],
  ['JSON with one member many times', `{${'"query":"{__typename}",'.repeat(2_800)}"x":1}`],
  ['JSON of escapes', `{"query":"${'\\u007b'.repeat(10_000)}"}`],
  [
    'an operation name of 60 KB',
    `{"query":"{__typename}","operationName":"${'x'.repeat(60_000)}"}`,
  ],
  ['extensions', `{"query":"{__typename}","extensions":{"a":"${'x'.repeat(60_000)}"}}`],
  ['an array of requests', `[${'{"query":"{__typename}"},'.repeat(2_600)}{}]`],
];

/** Families of documents, each as long as it may be, or as large as a limit lets it be. */
export function hostileBodies(): Body[] {
  return [
    ...DOCUMENTS.map(([name, ...parts]): Body => [name, document(filled(...parts))]),
    ...BODIES,
  ];
}

/** As many repetitions of a part as fit between what comes before and after, and no more than `most`. */
function filled(before: string, part: string, after: string, most = Number.POSITIVE_INFINITY) {
  const parts: string[] = [];
  let left = MAX_BYTES - 200 - escapedLength(before + after);
  for (let index = 0; index < most; index += 1) {
    const next = part.replaceAll('%', `${index}`).replaceAll('&', `${index + 1}`);
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

function spreads(count: number): string {
  return Array.from({ length: count }, (_, other) => `...F${other}`).join('');
}

function references(part: (index: number) => object): string {
  const them: object[] = [];
  for (let index = 0; document(ENTITIES, { them }).length < MAX_BYTES - 200; index += 1) {
    them.push(part(index));
  }
  return document(ENTITIES, { them: them.slice(0, -1) });
}
