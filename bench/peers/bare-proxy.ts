/** The limit of the cold path: JSON in, one upstream call by undici's `dispatch`, JSON out; no GraphQL. */
import { createServer, type ServerResponse } from 'node:http';
import { listen, readKey, sendStatus } from './listen.ts';
import { type Envelope, pathOf, pool, upstreamHeaders } from './support.ts';

function proxy(key: { participantType: string; batchId: string }, response: ServerResponse): void {
  const chunks: Buffer[] = [];
  let status = 0;
  const fail = () => void response.writeHead(502).end();
  pool.dispatch(
    { method: 'GET', path: pathOf(key), headers: upstreamHeaders() },
    {
      onRequestStart() {},
      onResponseStart(_controller, statusCode) {
        status = statusCode;
      },
      onResponseData(_controller, chunk) {
        chunks.push(chunk);
      },
      onResponseEnd() {
        if (status !== 200) return fail();
        const { data, request }: Envelope = JSON.parse(Buffer.concat(chunks).toString());
        const { uri } = request;
        sendStatus(response, {
          participantType: key.participantType,
          data,
          request: { uri },
        });
      },
      onResponseError: fail,
    },
  );
}

listen(createServer((request, response) => readKey(request, (key) => proxy(key, response))));
