import type { TestGateway } from './test-gateway.ts';

/** The media type that sends a body of JSON through one of the two lanes of the front door. */
export const LANE_MEDIA_TYPES = {
  lean: 'application/json',
  yoga: 'application/graphql+json',
} as const;
export type Lane = keyof typeof LANE_MEDIA_TYPES;

/** An answer, as far as the lanes must agree on it. */
export interface LaneAnswer {
  status: number;
  contentType: string | null;
  allow: string | null;
  body: string;
}

/** Ids that the gateway makes anew for each upstream call. */
const UUIDS = /[\da-f]{8}(?:-[\da-f]{4}){3}-[\da-f]{12}/g;

/** Sends a body through a lane. What is different in every answer is blanked. */
export async function sendThrough(
  lane: Lane,
  gateway: TestGateway,
  body: string,
  headers: Record<string, string> = {},
): Promise<LaneAnswer> {
  const response = await fetch(gateway.endpoint, {
    method: 'POST',
    headers: {
      'content-type': LANE_MEDIA_TYPES[lane],
      'x-request-id': 'the-same',
      ...headers,
    },
    body,
  });
  return {
    status: response.status,
    contentType: response.headers.get('content-type'),
    allow: response.headers.get('allow'),
    body: inOrder((await response.text()).replaceAll(UUIDS, 'a-uuid')),
  };
}

/** Errors of fields come in the order in which they happened, which may be any. */
function inOrder(body: string): string {
  if (!body.startsWith('{"errors":[')) return body;
  const answer = JSON.parse(body);
  answer.errors.sort((a: object, b: object) => JSON.stringify(a).localeCompare(JSON.stringify(b)));
  return JSON.stringify(answer);
}

/** The lanes that the requests took so far, as their log lines tell; without those of one operation. */
export function lanesTaken({ logLines }: TestGateway, exceptOperation?: string): string[] {
  return logLines.flatMap((line) => {
    const { lane, operationName } = JSON.parse(line);
    return lane === undefined || operationName === exceptOperation ? [] : [lane];
  });
}
