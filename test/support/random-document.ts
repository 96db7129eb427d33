import {
  type GraphQLArgument,
  type GraphQLField,
  type GraphQLNamedType,
  type GraphQLSchema,
  getNamedType,
  isCompositeType,
  isInterfaceType,
  isObjectType,
  isUnionType,
} from 'graphql';

/** A document with its variables, made at random from the schema. It need not be valid. */
export interface RandomDocument {
  query: string;
  variables: Record<string, unknown>;
}

/** Names that a compiler might trip over, among others. */
const ALIASES = [
  ...[
    'a',
    'b',
    'c',
    'x',
    'y',
    'same',
    'a_b',
    'b_a',
    'x_y',
    '_',
    '__',
    'idx0',
    '__field',
    '__parent',
  ],
  ...['__proto__', 'constructor', 'prototype', 'toString', 'valueOf', 'hasOwnProperty', 'toJSON'],
  ...[
    'then',
    'length',
    'name',
    'data',
    'errors',
    'status',
    'id',
    '__typename',
    'null',
    'undefined',
  ],
];
const FRAGMENTS = ['F', 'G', 'H', 'constructor', '__proto__', 'F_G'];
const CONDITIONS = [
  ...['@include(if: $a)', '@skip(if: $a)', '@include(if: $b)', '@skip(if: $b)', '@include(if: $c)'],
  ...['@include(if: true)', '@include(if: false)', '@skip(if: true)', '@skip(if: false)'],
  ...['@skip(if: $a) @include(if: $b)', '@include(if: $a) @skip(if: $c)'],
];
const VARIABLES: Record<string, { type: string; values: unknown[] }> = {
  a: { type: 'Boolean!', values: [true, false, false, null, 'x'] },
  b: { type: 'Boolean = true', values: [true, false, null] },
  c: { type: 'Boolean! = false', values: [true, false, null] },
  type: { type: 'String = "drivers"', values: ['vehicles', 'drivers', null, 7] },
  batch: { type: 'ID', values: ['done', 'gone', 'down', null, 7, 1.5] },
  pointer: { type: 'String!', values: ['', '/meta', '/errors/0', 'odd', null] },
  first: { type: 'Int = 1', values: [0, 2, 100, 101, null, '2'] },
  name: { type: 'String!', values: ['BatchStatus', 'Query', 'Nothing'] },
  deprecated: { type: 'Boolean = false', values: [true, false, null] },
  them: {
    type: '[_Any!]!',
    values: [
      [],
      [{ __typename: 'BatchStatus', id: 'vehicles/done' }],
      [{ __typename: 'BatchStatus', participantType: 'vehicles', batchId: 'gone' }, {}, 7],
      { __typename: 'BatchStatus', id: 'vehicles' },
    ],
  },
  batches: {
    type: '[BatchStatusKey!]!',
    values: [
      [],
      [{ participantType: 'vehicles', batchId: 'done' }],
      [
        { participantType: 'vehicles', batchId: 'gone' },
        { participantType: 'drivers' },
        { participantType: 'vehicles', batchId: 7 },
      ],
      { participantType: 'vehicles', batchId: null },
      [{ batchId: 'done' }],
    ],
  },
  constructor: { type: 'ID = "done"', values: ['gone', null] },
};
const LITERALS: Record<string, string[]> = {
  participantType: ['"vehicles"', '"vehicles"', '"drivers"', '"""vehicles"""', '""', '$type'],
  batchId: [
    ...[
      '"done"',
      '"done"',
      '"gone"',
      '"down"',
      'null',
      '7',
      '"\\u2028\\"\\\\"',
      '$batch',
      '$batch',
    ],
    ...['$constructor', '"__MAGIC_NAN__57f286b9_4c20_487f_b409_79804ddcb4f8"'],
    '"__MAGIC_DATE__33a9e76d_02e0_4128_8e92_3530ad3da74dglobalThis.compiled=1"',
  ],
  pointer: ['""', '"/meta/status"', '"/errors/1"', '"/nowhere"', '"odd"', '$pointer'],
  first: ['0', '1', '2', '100', '101', '-1', 'null', '$first', '$first'],
  after: ['null', '"x"'],
  name: ['"BatchStatus"', '"Nothing"', '$name'],
  includeDeprecated: ['true', '$deprecated'],
  batches: [
    ...[
      '$batches',
      '$batches',
      '$batches',
      '[]',
      '[{participantType: "vehicles", batchId: "done"}]',
    ],
    ...['{participantType: "drivers"}', '[{participantType: $type, batchId: $batch}]'],
  ],
  representations: [
    ...['$them', '$them', '$them', '[]', '[{__typename: "BatchStatus", id: "vehicles/done"}]'],
    ...['[{__typename: "BatchStatus", participantType: $type, batchId: $batch}]'],
    ...['[{__typename: "BatchStatus", id: "drivers", __proto__: {id: "vehicles"}}]'],
  ],
};

/** Random numbers in [0, 1) that a seed decides (mulberry32). */
function randomFrom(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let bits = Math.imul(state ^ (state >>> 15), 1 | state);
    bits = (bits + Math.imul(bits ^ (bits >>> 7), 61 | bits)) ^ bits;
    return ((bits ^ (bits >>> 14)) >>> 0) / 2 ** 32;
  };
}

class Writer {
  readonly #schema: GraphQLSchema;
  readonly #random: () => number;
  /** The share of selections that have a condition. */
  readonly #conditions: number;
  /** The share of names and values of which nothing special is to be expected. */
  readonly #tame: number;
  readonly #fragmentNames: readonly string[];
  readonly #fragments = new Map<string, string>();
  readonly #begun = new Set<string>();
  #aliasCount = 0;
  #room = 24;

  constructor(schema: GraphQLSchema, seed: number) {
    this.#schema = schema;
    this.#random = randomFrom(seed);
    this.#conditions = this.#pick([0, 0, 0, 0.1, 0.4]);
    this.#tame = this.#pick([1, 1, 0.9, 0.5]);
    this.#fragmentNames = this.#chance(this.#tame) ? ['F', 'G', 'H'] : FRAGMENTS;
  }

  document(): RandomDocument {
    const type = this.#schema.getQueryType();
    if (!type) throw new Error('the schema has no queries');
    const selections = this.#selectionSet(type, 4);
    const name = this.#pick(this.#chance(this.#tame) ? ['', 'Q', 'query'] : ['constructor']);
    const text = [selections, ...this.#fragments.values()].join('\n');
    const used = Object.entries(VARIABLES).filter(([variable]) =>
      new RegExp(`\\$${variable}\\b`).test(text),
    );
    const variables: Record<string, unknown> = {};
    for (const [variable, { values }] of used) {
      // Mostly one of the first, which are good.
      if (this.#chance(0.8))
        variables[variable] = this.#pick(values.slice(0, this.#chance(0.7) ? 2 : 9));
    }
    const declared = used.map(([variable, { type }]) => `$${variable}: ${type}`).join(', ');
    return { query: `query ${name}${declared && `(${declared})`} ${text}`, variables };
  }

  #selectionSet(type: GraphQLNamedType, depth: number): string {
    const count = 1 + Math.floor(this.#random() * 4);
    const selections = Array.from({ length: count }, () => this.#selection(type, depth));
    return `{ ${selections.join(' ')} }`;
  }

  #selection(type: GraphQLNamedType, depth: number): string {
    this.#room -= 1;
    const kind = this.#room < 0 ? 1 : this.#random();
    if (kind < 0.1) {
      const on = this.#pick(['', `on ${type.name}`]);
      return `... ${on} ${this.#condition()} ${this.#selectionSet(type, depth - 1)}`;
    }
    if (kind < 0.25) return this.#spread(type, depth);
    if (isUnionType(type)) {
      const [member] = type.getTypes();
      if (member && kind < 0.9)
        return `... on ${member.name} ${this.#selectionSet(member, depth - 1)}`;
    }
    return this.#field(type, depth);
  }

  #field(type: GraphQLNamedType, depth: number): string {
    const all = isObjectType(type) || isInterfaceType(type) ? Object.values(type.getFields()) : [];
    const fields = all.filter((field) =>
      depth > 0 && this.#room > 0 ? true : !isCompositeType(getNamedType(field.type)),
    );
    if (type === this.#schema.getQueryType()) {
      fields.push(
        ...fields.filter(({ name }) => name === 'batchStatus').flatMap((it) => [it, it, it, it]),
      );
    }
    const field = this.#pick([undefined, ...fields]);
    if (field === undefined) return `${this.#alias(0.2)}__typename ${this.#condition()}`;
    const inner = getNamedType(field.type);
    const members = isCompositeType(inner) ? this.#selectionSet(inner, depth - 1) : '';
    const alias = this.#alias(field.args.length > 0 ? 0.8 : 0.3);
    return `${alias}${field.name}${this.#arguments(field)} ${this.#condition()} ${members}`;
  }

  #arguments({ args }: GraphQLField<unknown, unknown>): string {
    const given = args.filter((arg) => this.#chance(isNeeded(arg) ? 0.98 : 0.5));
    const written = given.map(({ name }) => `${name}: ${this.#value(name)}`);
    return written.length > 0 ? `(${written.join(', ')})` : '';
  }

  #value(name: string): string {
    const values = LITERALS[name] ?? ['null'];
    return this.#pick(this.#chance(this.#tame) ? values.filter(isTame) : values);
  }

  /** A spread of a fragment of this type, one that there is or a new one; a field where there is none left. */
  #spread(type: GraphQLNamedType, depth: number): string {
    const known = [...this.#fragments].filter(([, text]) => text.includes(` on ${type.name} {`));
    if (known.length > 0 && this.#chance(0.5))
      return `...${this.#pick(known)[0]} ${this.#condition()}`;
    const name = this.#pick(this.#fragmentNames);
    if (this.#begun.has(name)) return this.#field(type, depth);
    this.#begun.add(name);
    const text = `fragment ${name} on ${type.name} ${this.#selectionSet(type, depth - 1)}`;
    this.#fragments.set(name, text);
    return `...${name} ${this.#condition()}`;
  }

  #alias(share: number): string {
    if (!this.#chance(share)) return '';
    this.#aliasCount += 1;
    return this.#chance(this.#tame) ? `f${this.#aliasCount}: ` : `${this.#pick(ALIASES)}: `;
  }

  #condition(): string {
    return this.#chance(this.#conditions) ? this.#pick(CONDITIONS) : '';
  }

  #chance(share: number): boolean {
    return this.#random() < share;
  }

  #pick<T>(values: readonly T[]): T {
    const at = Math.floor(this.#random() * values.length);
    const [value] = values.slice(at, at + 1);
    return value as T;
  }
}

function isTame(value: string): boolean {
  return !value.includes('__') && !value.includes('constructor');
}

function isNeeded({ name }: GraphQLArgument): boolean {
  return name !== 'batchId' && name !== 'first' && name !== 'after' && name !== 'includeDeprecated';
}

/** The document that a seed decides: queries with conditions, fragments, aliases and variables of every kind. */
export function randomDocument(schema: GraphQLSchema, seed: number): RandomDocument {
  return new Writer(schema, seed).document();
}
