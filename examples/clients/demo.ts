import process from 'node:process';
import type { ResultOf } from 'gql.tada';
import { adviceFor } from './gateway-errors.ts';
import { DashboardQuery } from './operations.ts';
import type { Answer } from './poll-batch.ts';
import * as apollo from './with-apollo.ts';
import { createFetchClient } from './with-fetch.ts';
import * as urql from './with-urql.ts';

type DashboardAnswer = Answer<ResultOf<typeof DashboardQuery>>;

const url = process.env['GATEWAY_URL'] || 'http://127.0.0.1:4000/graphql';
// Batches of the sandbox. The third cannot be read, so the answer is partial.
const variables = { vehicles: 'batch-partial', drivers: 'batch-finished', operators: 'fault-503' };

function askWithFetch(): Promise<DashboardAnswer> {
  return createFetchClient(url).query(DashboardQuery, variables);
}

async function askWithApollo(): Promise<DashboardAnswer> {
  const client = apollo.createApolloClient(url);
  const { data = null, error } = await client.query({
    query: DashboardQuery,
    variables,
    ...apollo.PARTIAL,
  });
  return { data, errors: apollo.gatewayErrors(error) };
}

async function askWithUrql(): Promise<DashboardAnswer> {
  const client = urql.createUrqlClient(url);
  const { data = null, error } = await client.query(DashboardQuery, variables);
  return { data, errors: urql.gatewayErrors(error) };
}

function describe({ data, errors }: DashboardAnswer): string {
  const batches = Object.entries(data ?? {}).map(([alias, batch]) =>
    batch === null
      ? `${alias}: null`
      : `${alias}: ${batch.status}, ${batch.successCount} of ${batch.totalCount} succeeded`,
  );
  const advice = errors.map(
    (error) =>
      `error at ${error.path.join('.')}: ${error.code}, so ${JSON.stringify(adviceFor(error))}`,
  );
  return [...batches, ...advice].map((line) => `  ${line}\n`).join('');
}

try {
  process.stdout.write(`fetch\n${describe(await askWithFetch())}`);
  process.stdout.write(`Apollo Client\n${describe(await askWithApollo())}`);
  process.stdout.write(`urql\n${describe(await askWithUrql())}`);
} catch (error) {
  process.stderr.write(`There is no gateway to ask at ${url}: ${String(error)}
Start one with "npm start" in the project's main folder, or set GATEWAY_URL.
`);
  process.exitCode = 1;
}
