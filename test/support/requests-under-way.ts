import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { expect } from 'vitest';

const BEGUN = 'http.server.request.start';
/** Turns of the event loop in which a request gets as far as it can without an answer of anybody else. */
const TURNS = 50;

/** The requests that a server of this process has begun and not ended. */
export interface RequestsUnderWay extends Disposable {
  /** Resolves when there are so many, and each has got as far as it can. */
  count(requests: number): Promise<void>;
  /** The same, for so many or more. */
  atLeast(requests: number): Promise<void>;
}

/** Watches the server at the port of `url`. */
export function watchRequests(url: URL): RequestsUnderWay {
  const underWay = new Set<ServerResponse>();
  const begin = (message: unknown) => {
    if (!isRequest(message) || message.request.socket.localPort !== Number(url.port)) return;
    const { response } = message;
    underWay.add(response);
    response.once('close', () => underWay.delete(response));
  };
  subscribe(BEGUN, begin);
  return {
    async count(requests) {
      await expect.poll(() => underWay.size).toBe(requests);
      await rest();
    },
    async atLeast(requests) {
      await expect.poll(() => underWay.size).toBeGreaterThanOrEqual(requests);
      await rest();
    },
    [Symbol.dispose]: () => void unsubscribe(BEGUN, begin),
  };
}

async function rest(): Promise<void> {
  for (let turn = 0; turn < TURNS; turn += 1) {
    await new Promise((resolve) => setImmediate(resolve));
  }
}

function isRequest(
  message: unknown,
): message is { request: IncomingMessage; response: ServerResponse } {
  return typeof message === 'object' && message !== null && 'response' in message;
}
