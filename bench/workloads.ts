/** What the clients ask for; see the README. */
export type Workload = 'cold' | 'hot';

export const WORKLOADS: readonly Workload[] = ['cold', 'hot'];

export const CONNECTIONS = 32;

/** As many batches as a hot load asks for. */
export const HOT_BATCHES = 8;

export const QUERY =
  'query S($t:String!,$b:ID){batchStatus(participantType:$t,batchId:$b){participantType data request{uri}}}';

/** The body of one GraphQL request. */
export function bodyFor(batchId: string): string {
  return JSON.stringify({ query: QUERY, variables: { t: 'vehicles', b: batchId } });
}

/** The headers of a GraphQL request, with more given as `name: value`. */
export function requestHeaders(more: readonly string[]): Record<string, string> {
  const headers: Record<string, string> = {
    'content-type': 'application/json',
    accept: 'application/json',
  };
  for (const header of more) {
    const at = header.indexOf(':');
    headers[header.slice(0, at).toLowerCase()] = header.slice(at + 1).trim();
  }
  return headers;
}

/** The upstream's answer to every call: the envelope of a batch that is under way. */
export const ENVELOPE = JSON.stringify({
  data: {
    status: 'IN_PROGRESS',
    totalCount: 10,
    successCount: 7,
    failureCount: 0,
    createdAt: '2025-11-03T08:15:00Z',
    updatedAt: '2025-11-03T08:16:30Z',
    failureDetails: [],
  },
  request: {
    uri: '/core/api/v2/participants/vehicles/batch/status',
    method: 'GET',
    queryString: '',
    body: {},
  },
});
