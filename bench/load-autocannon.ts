/** Makes a load with autocannon, as load.ts asks for in the first argument; ends with a line of JSON. */
import autocannon from 'autocannon';
import type { LoadOptions } from './load.ts';
import { bodyFor, CONNECTIONS, HOT_BATCHES, requestHeaders } from './workloads.ts';

const options: LoadOptions & { nonce: string } = JSON.parse(process.argv[2] ?? '');
const { endpoint, workload, seconds, nonce, rate } = options;

let count = 0;
function nextBody(): string {
  count += 1;
  const id = workload === 'cold' ? count : count % HOT_BATCHES;
  return bodyFor(`${nonce}-${String(id).padStart(8, '0')}`);
}

const result = await autocannon({
  url: endpoint,
  method: 'POST',
  connections: CONNECTIONS,
  duration: seconds,
  ...(rate !== undefined && { overallRate: rate }),
  headers: requestHeaders(options.headers),
  requests: [{ setupRequest: (request) => ({ ...request, body: nextBody() }) }],
});

process.stdout.write(
  `${JSON.stringify({
    requests: result.requests.total,
    seconds: result.duration,
    p50: result.latency.p50,
    p99: result.latency.p99,
    errors: result.errors + result.non2xx,
  })}\n`,
);
