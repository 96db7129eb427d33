import type { StreamFormat } from '../core/answer.ts';

/** How events are put into the body of a response. What each method returns is to be written as it is. */
export interface StreamFraming {
  readonly contentType: string;
  /** Ahead of the first event. */
  readonly opening: string;
  /** One event, `text` being its JSON. `id`: its number in this stream. */
  event(id: number, text: string): string;
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
  event: (id, text) => `id: ${id}\nevent: next\ndata: ${text}\n\n`,
  heartbeat: ':\n\n',
  completion: 'event: complete\ndata:\n\n',
  comeAgain: (retryMs) => `retry: ${retryMs}\n\n`,
};

const PART = '\r\n--graphql\r\ncontent-type: application/json\r\n\r\n';
const END = '\r\n--graphql--\r\n';

/** Apollo's multipart protocol for subscriptions over HTTP, `subscriptionSpec=1.0`. */
const multipart: StreamFraming = {
  contentType: 'multipart/mixed;boundary="graphql";subscriptionSpec="1.0"',
  opening: '',
  event: (_id, text) => `${PART}{"payload":${text}}`,
  heartbeat: `${PART}{}`,
  completion: END,
  comeAgain: (_retryMs, text) => `${PART}{"payload":${text}}${END}`,
};

export const STREAM_FRAMINGS: Readonly<Record<StreamFormat, StreamFraming>> = {
  'text/event-stream': eventStream,
  'multipart/mixed': multipart,
};
