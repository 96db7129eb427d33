import SchemaBuilder from '@pothos/core';
import type { JsonObject, JsonValue } from '../../lib/json.ts';
import type { GraphQLContext } from '../context.ts';

/** The builder that every type registers with; see index.ts. */
export const builder = new SchemaBuilder<{
  Context: GraphQLContext;
  Scalars: {
    ID: { Input: string; Output: string };
    // Of answers alone.
    DateTime: { Input: never; Output: Date };
    JSON: { Input: never; Output: JsonValue };
    JSONObject: { Input: never; Output: JsonObject };
  };
}>({});

builder.scalarType('DateTime', {
  description: 'A moment in UTC, as RFC 3339 writes it: "2026-01-31T12:00:00.000Z".',
  serialize: (moment) => moment.toISOString(),
});

const ECMA_404 = 'http://www.ecma-international.org/publications/files/ECMA-ST/ECMA-404.pdf';
builder.scalarType('JSON', {
  description: 'Any JSON value, as it came from the Participant Service.',
  specifiedByURL: ECMA_404,
  serialize: (value) => value,
});
builder.scalarType('JSONObject', {
  description:
    'A JSON object, as it came from the Participant Service. Its members cannot be selected: it comes whole.',
  specifiedByURL: ECMA_404,
  serialize: (object) => object,
});

builder.queryType({ description: 'What can be asked of the gateway.' });
