import SchemaBuilder from '@pothos/core';
import { DateTimeResolver, JSONObjectResolver, JSONResolver } from 'graphql-scalars';
import type { JsonObject, JsonValue } from '../../lib/json.ts';
import type { GraphQLContext } from '../context.ts';

/** The builder that every type registers with; see index.ts. */
export const builder = new SchemaBuilder<{
  Context: GraphQLContext;
  Scalars: {
    ID: { Input: string; Output: string };
    DateTime: { Input: Date; Output: Date };
    JSON: { Input: JsonValue; Output: JsonValue };
    JSONObject: { Input: JsonObject; Output: JsonObject };
  };
}>({});

builder.addScalarType('DateTime', DateTimeResolver, {
  description: 'A moment in UTC, as RFC 3339 writes it: "2026-01-31T12:00:00.000Z".',
});
builder.addScalarType('JSON', JSONResolver, {
  description: 'Any JSON value, as it came from the Participant Service.',
});
builder.addScalarType('JSONObject', JSONObjectResolver, {
  description:
    'A JSON object, as it came from the Participant Service. Its members cannot be selected: it comes whole.',
});

builder.queryType({ description: 'What can be asked of the gateway.' });
