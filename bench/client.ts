import { type Dispatcher, request } from 'undici';
import { requestHeaders } from './workloads.ts';

/** What a client was answered. */
export interface Reply {
  status: number;
  text: string;
  /** The error's code, or the HTTP status; undefined where it is a batch status, without errors. */
  error: string | undefined;
}

export interface PostOptions {
  /** Headers besides those of a GraphQL request. */
  headers?: Readonly<Record<string, string>>;
  /** Connections of its own. */
  dispatcher?: Dispatcher;
}

/** Sends a body to a GraphQL endpoint. Rejects when there is no answer. */
export async function post(
  endpoint: string,
  body: string,
  { headers = {}, ...options }: PostOptions = {},
): Promise<Reply> {
  const all = { ...requestHeaders([]), ...headers };
  const answer = await request(endpoint, { method: 'POST', headers: all, body, ...options });
  const { statusCode: status, body: stream } = answer;
  const text = await stream.text();
  const isGood = status === 200 && text.includes('"IN_PROGRESS"') && !text.includes('"errors"');
  const [, code = `status ${status}`] = /"code":"([A-Z_]+)"/.exec(text) ?? [];
  return { status, text, error: isGood ? undefined : code };
}

/** A query for many batches, by ids that begin alike. */
export function queryForMany(participantType: string, id: string, count: number): string {
  const fields = Array.from(
    { length: count },
    (_, n) =>
      `k${n}:batchStatus(participantType:"${participantType}",batchId:"${id}-${n}"){status}`,
  );
  return JSON.stringify({ query: `{${fields.join(' ')}}` });
}
