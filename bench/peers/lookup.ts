/** The limit of the hot path: read the body, parse it, answer from a map that the first query fills. */
import { createServer } from 'node:http';
import { listen, readKey, sendStatus } from './listen.ts';
import { type BatchStatus, fetchBatchStatus } from './support.ts';

const statuses = new Map<string, BatchStatus>();

listen(
  createServer((request, response) => {
    readKey(request, (key) => {
      const id = `${key.participantType}/${key.batchId}`;
      const known = statuses.get(id);
      if (known) return sendStatus(response, known);
      fetchBatchStatus(key).then(
        ({ participantType, data, request: { uri } }) => {
          const status = { participantType, data, request: { uri } };
          statuses.set(id, status);
          sendStatus(response, status);
        },
        () => response.writeHead(502).end(),
      );
    });
  }),
);
