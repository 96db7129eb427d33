import fc from 'fast-check';
import {
  type GraphQLArgument,
  type GraphQLField,
  type GraphQLNamedType,
  type GraphQLSchema,
  getNamedType,
  isCompositeType,
  isObjectType,
} from 'graphql';

/** A request of the kind that a frontend sends: a document over the schema, with its variables. */
export interface ArbitraryRequest {
  query: string;
  variables: Record<string, unknown>;
  operationName?: string;
}

const TYPES = ['vehicles', 'drivers', '', 'a/b', 'véhicules 🚚'];
const BATCHES = ['batch-finished', 'batch-partial', 'no-such-batch', 'fault-503', 'fault-html', ''];
const POINTERS = ['', '/status', '/failureDetails/0', '/nowhere', 'faulty', '/~2'];
const DIRECTIVES = [
  '',
  '',
  '',
  '',
  '',
  '',
  '@include(if: $yes)',
  '@skip(if: $yes)',
  '@include(if: $no)',
  '@skip(if: false)',
  '@skip(if: $no) @include(if: $yes)',
];
const VARIABLES = {
  $type: 'String = "drivers"',
  $batch: 'ID',
  $yes: 'Boolean = true',
  $no: 'Boolean!',
};

function argument({ name }: GraphQLArgument): fc.Arbitrary<string> {
  const literals = (values: readonly string[]) =>
    fc.constantFrom(...values.map((value) => `${name}: ${JSON.stringify(value)}`));
  if (name === 'participantType') {
    return fc.oneof({ weight: 4, arbitrary: literals(TYPES) }, fc.constant(`${name}: $type`));
  }
  if (name === 'batchId') {
    return fc.oneof(
      { weight: 4, arbitrary: literals(BATCHES) },
      fc.constantFrom(`${name}: $batch`, `${name}: null`, `${name}: 7`),
    );
  }
  if (name === 'pointer') return literals(POINTERS);
  return fc.constant(`${name}: "BatchStatus"`);
}

/** One selection of a field: its arguments, directives or none, its members. */
function selection(field: GraphQLField<unknown, unknown>, depth: number): fc.Arbitrary<string> {
  const type = getNamedType(field.type);
  return fc
    .record({
      args: fc.tuple(...field.args.map(argument)),
      directive: fc.constantFrom(...DIRECTIVES),
      members: isCompositeType(type) ? selectionSet(type, depth - 1) : fc.constant(''),
    })
    .map(({ args, directive, members }) => {
      const call = args.length > 0 ? `(${args.join(', ')})` : '';
      return `${field.name}${call} ${directive} ${members}`;
    });
}

function selectionSet(type: GraphQLNamedType, depth: number): fc.Arbitrary<string> {
  const fields = isObjectType(type) ? Object.values(type.getFields()) : [];
  const open = fields.filter(
    (field) =>
      !field.name.startsWith('_') && (depth > 0 || !isCompositeType(getNamedType(field.type))),
  );
  const parts: fc.Arbitrary<string>[] = [
    fc.constant('__typename'),
    ...open.map((field) => selection(field, depth)),
  ];
  if (type.name === 'BatchStatus') parts.push(fc.constant('...Part'));
  const one = fc.oneof(...parts);
  // Mostly each under a name of its own: the same name twice is a conflict if the arguments differ.
  const named = fc.tuple(one, fc.nat(9));
  const many = fc.array(named, { minLength: 1, maxLength: 4 }).map((selections) =>
    selections.map(([text, chance], index) => {
      if (text.startsWith('...') || chance === 0) return text;
      return `${chance === 1 ? 'same' : `f${index}`}: ${text}`;
    }),
  );
  return many.chain((selections) =>
    fc.constantFrom(
      `{ ${selections.join('\n')} }`,
      `{ ${selections.join(' ')} ... on ${type.name} { __typename } }`,
    ),
  );
}

/** Requests over the schema: most are valid, some conflict with themselves, some have a letter wrong. */
export function arbitraryRequest(schema: GraphQLSchema): fc.Arbitrary<ArbitraryRequest> {
  const query = schema.getQueryType();
  if (!query) throw new Error('the schema has no queries');
  const fragment =
    'fragment Part on BatchStatus { id status ...Inner } fragment Inner on BatchStatus { finished progress }';
  return fc
    .record({
      operation: fc.oneof(
        { weight: 9, arbitrary: selectionSet(query, 2) },
        fc.constant('{ __schema { queryType { name } } }'),
      ),
      second: fc.boolean(),
      name: fc.constantFrom(undefined, 'One', 'Two', 'Three'),
      variables: fc.constantFrom<Record<string, unknown>>(
        { no: false },
        { no: false, type: 'vehicles', batch: 'batch-partial' },
        { no: false, batch: null, yes: false },
        { no: null },
        { no: 'false' },
        { no: false, batch: 12, unknown: [] },
        {},
      ),
      slip: fc.oneof({ weight: 9, arbitrary: fc.constant(undefined) }, fc.nat()),
    })
    .map(({ operation, second, name, variables, slip }) => {
      const used = Object.entries(VARIABLES).filter(([variable]) => operation.includes(variable));
      const declared = used.map(([variable, type]) => `${variable}: ${type}`).join(', ');
      const texts = [
        `query One${declared && `(${declared})`} ${operation}`,
        second ? 'query Two { __typename }' : '',
        operation.includes('...Part') ? fragment : '',
      ];
      const text = texts.filter(Boolean).join('\n');
      const at = slip === undefined ? -1 : slip % text.length;
      return {
        query: at < 0 ? text : text.slice(0, at) + text.slice(at + 1),
        variables,
        ...(name === undefined ? {} : { operationName: name }),
      };
    });
}
