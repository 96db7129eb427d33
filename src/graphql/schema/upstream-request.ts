import type { UpstreamEcho } from '../../upstream/envelope.ts';
import { builder } from './builder.ts';

/** The upstream's echo of the request that it answered. */
export const UpstreamRequest = builder.objectRef<UpstreamEcho>('UpstreamRequest').implement({
  description:
    "The Participant Service's echo of the request that it answered, for support and debugging. Each member is null when the service left it out.",
  fields: (t) => ({
    uri: t.exposeString('uri', { description: 'The address that was called.' }),
    method: t.exposeString('method', { description: 'The HTTP method: "GET".' }),
    queryString: t.exposeString('queryString', {
      description: 'The query string, such as "batchId=b-1"; empty without a batchId.',
    }),
    body: t.expose('body', {
      type: 'JSON',
      description: 'The request body; empty for a status call.',
    }),
  }),
});
