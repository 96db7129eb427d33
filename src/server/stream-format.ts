import type { StreamFormat } from '../core/answer.ts';

/** How events are put into the body of a response. What each method returns is to be written as it is. */
export interface StreamFraming {
  readonly contentType: string;
  /** Ahead of the first event. */
  readonly opening: string;
  /** Ahead of the JSON of an event. `id`: its number in this stream. */
  head(id: number): string;
  /** Behind it. */
  readonly tail: string;
  /** Nothing, so that whoever is in between does not take the connection for dead. */
  readonly heartbeat: string;
  /** The operation is over. */
  readonly completion: string;
  /**
   * The stream ends, the operation goes on: the client is to come again in `retryMs`. `text`: a result with an error
   * that says so, for a format that has no other way.
   */
  comeAgain(retryMs: number, text: string): string;
}

/**
 * Server-sent events as GraphQL over SSE has them, "distinct connections mode": `next` and `complete`, where `complete`
 * means that the operation is over. Who comes again is told when by `retry` (HTML, "Server-sent events").
 */
const eventStream: StreamFraming = {
  contentType: 'text/event-stream; charset=utf-8',
  opening: ':\n\n',
  head: (id) => `id: ${id}\nevent: next\ndata: `,
  tail: '\n\n',
  heartbeat: ':\n\n',
  completion: 'event: complete\ndata:\n\n',
  comeAgain: (retryMs) => `retry: ${retryMs}\n\n`,
};

const BOUNDARY = '\r\n--graphql';

/** A client reads a part when it sees the boundary behind it: each part brings that with it. */
const PART = '\r\ncontent-type: application/json\r\n\r\n';
const PAYLOAD = `${PART}{"payload":`;
const PAYLOAD_END = `}${BOUNDARY}`;

/** Apollo's multipart protocol for subscriptions over HTTP, `subscriptionSpec=1.0`. */
const multipart: StreamFraming = {
  contentType: 'multipart/mixed;boundary="graphql";subscriptionSpec="1.0"',
  opening: BOUNDARY,
  head: () => PAYLOAD,
  tail: PAYLOAD_END,
  heartbeat: `${PART}{}${BOUNDARY}`,
  completion: '--\r\n',
  comeAgain: (_retryMs, text) => `${PAYLOAD}${text}${PAYLOAD_END}--\r\n`,
};

export const STREAM_FRAMINGS: Readonly<Record<StreamFormat, StreamFraming>> = {
  'text/event-stream': eventStream,
  'multipart/mixed': multipart,
};
