import type { TestGateway } from './test-gateway.ts';

/** The answer to a subscription, as it comes. */
export interface EventStream extends AsyncDisposable {
  status: number;
  headers: Headers;
  /** The next event, without its end; undefined: the stream is over. Heartbeats are left out. */
  next(): Promise<string | undefined>;
  /** The data of the next event. */
  data(): Promise<unknown>;
  /** Everything up to the end, as it came. */
  rest(): Promise<string>;
}

export interface StreamRequest {
  query: string;
  variables?: object;
  headers?: Record<string, string>;
}

/** Sends an operation as a client does that reads server-sent events, and reads them one at a time. */
export async function openStream(
  gateway: Pick<TestGateway, 'endpoint'>,
  { query, variables, headers = {} }: StreamRequest,
): Promise<EventStream> {
  const response = await fetch(gateway.endpoint, {
    method: 'POST',
    headers: { 'content-type': 'application/json', accept: 'text/event-stream', ...headers },
    body: JSON.stringify({ query, variables }),
  });
  const chunks = response.body?.pipeThrough(new TextDecoderStream()).getReader();
  let text = '';
  let isOver = false;

  async function read(): Promise<void> {
    const { done, value = '' } = (await chunks?.read()) ?? { done: true };
    text += value;
    isOver = done;
  }

  async function next(): Promise<string | undefined> {
    for (;;) {
      const end = text.indexOf('\n\n');
      if (end === -1 && isOver) return undefined;
      if (end === -1) {
        await read();
        continue;
      }
      const event = text.slice(0, end);
      text = text.slice(end + 2);
      if (event !== ':') return event;
    }
  }

  return {
    status: response.status,
    headers: response.headers,
    next,
    async data() {
      const [, data] = /^data: (.*)$/m.exec((await next()) ?? '') ?? [];
      return data === undefined ? undefined : JSON.parse(data);
    },
    async rest() {
      while (!isOver) await read();
      return text;
    },
    async [Symbol.asyncDispose]() {
      await chunks?.cancel();
    },
  };
}
