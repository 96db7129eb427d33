import { readFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import { buildSubgraphSchema } from '@apollo/subgraph';
import { parse } from 'graphql';
import { createYoga } from 'graphql-yoga';

/** The subgraph's SDL. */
export const UPLOADS_SDL = readFileSync(new URL('schema.graphql', import.meta.url), 'utf8');

function upload(id: string, fileName: string, participantType: string, batchId: string) {
  return { id, fileName, batchStatus: { participantType, batchId } };
}

/** Two batches that the sandbox knows, one that it does not, and one that it fails to tell. */
const UPLOADS = [
  upload('4', 'fleet-north.csv', 'vehicles', 'batch-finished'),
  upload('3', 'drivers-may.csv', 'drivers', 'batch-partial'),
  upload('2', 'operators.csv', 'operators', 'no-such-batch'),
  upload('1', 'fleet-south.csv', 'vehicles', 'fault-503'),
];

/** A subgraph that knows which batch an upload became, and nothing else about it. */
export function createUploadsServer(): Server {
  const schema = buildSubgraphSchema({
    typeDefs: parse(UPLOADS_SDL),
    resolvers: { Query: { uploads: () => UPLOADS } },
  });
  return createServer(createYoga({ schema, logging: false }));
}
