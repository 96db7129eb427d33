import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { expect } from 'vitest';
import { turns } from './turns.ts';

const BEGUN = 'http.server.request.start';
/** Turns of the event loop in which a request gets as far as it can without an answer of anybody else. */
const TURNS = 50;
/** Hundreds of requests take their time on a machine that is busy with other tests. */
const PATIENT = { timeout: 40_000 };

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
      await expect.poll(() => underWay.size, PATIENT).toBe(requests);
      await turns(TURNS);
    },
    async atLeast(requests) {
      await expect.poll(() => underWay.size, PATIENT).toBeGreaterThanOrEqual(requests);
      await turns(TURNS);
    },
    [Symbol.dispose]: () => void unsubscribe(BEGUN, begin),
  };
}

function isRequest(
  message: unknown,
): message is { request: IncomingMessage; response: ServerResponse } {
  return typeof message === 'object' && message !== null && 'response' in message;
}
