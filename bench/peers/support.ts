import { randomUUID } from 'node:crypto';
import { Pool } from 'undici';

/** The part of the gateway's schema that the benchmark asks for, as a peer declares it. */
export const SDL = `
  scalar JSON
  type RequestEcho { uri: String }
  type BatchStatus { participantType: String! data: JSON request: RequestEcho }
  type Query { batchStatus(participantType: String!, batchId: ID): BatchStatus }
`;

/** The arguments of `batchStatus`, which the benchmark also names `t` and `b` as variables. */
export interface BatchStatusArguments {
  participantType: string;
  batchId?: string | null;
}

/** What a peer answers with. */
export interface BatchStatus {
  participantType: string;
  data: unknown;
  request: { uri: string | null };
}

/** The upstream's answer, which a peer trusts. */
export interface Envelope {
  data: unknown;
  request: { uri: string };
}

/** The upstream's address; the harness gives it as UPSTREAM. */
export const upstream = new URL(process.env['UPSTREAM'] ?? 'http://127.0.0.1:4001');

/** Whether the peer's own cache is on, as CACHE=on asks for; it keeps an answer for a second. */
export const cached = process.env['CACHE'] === 'on';

/** Connections to the upstream, one request at a time on each, as the gateway has them. */
export const pool = new Pool(upstream.origin, {
  connections: Number(process.env['UPSTREAM_MAX_CONNECTIONS'] ?? 64),
  pipelining: 1,
});

/** The path and query of the status endpoint. */
export function pathOf({ participantType, batchId }: BatchStatusArguments): string {
  const path = `/core/api/v2/participants/${encodeURIComponent(participantType)}/batch/status`;
  return batchId == null ? path : `${path}?batchId=${encodeURIComponent(batchId)}`;
}

/** A token that the upstream takes. */
export const TOKEN = 'a-token-that-is-as-long-as-opaque-tokens-often-are';

/** What the gateway sends with a call, too; the token is a fixed one. */
export function upstreamHeaders(): Record<string, string> {
  return {
    accept: 'application/json',
    'content-type': 'application/json',
    'X-COREOS-REQUEST-ID': randomUUID(),
    'X-COREOS-TID': 'bench',
    'X-COREOS-ACCESS': TOKEN,
  };
}

/** One call to the upstream with undici's `request`; rejects on any status but 200. */
export async function fetchBatchStatus(key: BatchStatusArguments): Promise<BatchStatus> {
  const { statusCode, body } = await pool.request({
    method: 'GET',
    path: pathOf(key),
    headers: upstreamHeaders(),
  });
  if (statusCode !== 200) {
    await body.dump();
    throw new Error(`The upstream answered ${statusCode}.`);
  }
  const { data, request }: Envelope = JSON.parse(await body.text());
  return { participantType: key.participantType, data, request };
}

/** The resolvers of {@link SDL}. */
export const RESOLVERS = {
  Query: { batchStatus: (_root: unknown, key: BatchStatusArguments) => fetchBatchStatus(key) },
};

/** Tells the harness where the peer listens, in the words of the gateway's log. */
export function announce(port: number | string): void {
  process.stdout.write(`{"graphql":"http://127.0.0.1:${port}/graphql"}\n`);
}
