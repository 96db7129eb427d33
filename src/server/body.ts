import { isUtf8 } from 'node:buffer';
import type { IncomingMessage } from 'node:http';
import { RefusedRequest } from '../core/errors.ts';
import { ByteCollector } from '../lib/byte-collector.ts';
import type { HeldRequest } from './guards/intake.ts';

/**
 * Reads the whole body as UTF-8, and counts its bytes into what is held. Rejects with a {@link RefusedRequest} as soon
 * as it is, or says to be, longer than `maxBytes`, when more is held than can be, or when it is not UTF-8; never
 * settles when the client goes away before its end: then nobody is there to be answered.
 */
export function readBody(
  request: IncomingMessage,
  maxBytes: number,
  held: Pick<HeldRequest, 'addBytes'>,
): Promise<string> {
  return new Promise((resolve, reject) => {
    const collector = new ByteCollector(maxBytes);
    const refuse = (reason: unknown) => {
      request.off('data', take);
      request.resume();
      reject(reason);
    };
    const take = (chunk: Buffer) => {
      try {
        held.addBytes(chunk.length);
        if (!collector.add(chunk)) refuse(tooLarge(maxBytes));
      } catch (error) {
        refuse(error);
      }
    };
    if (Number(request.headers['content-length'] ?? 0) > maxBytes) {
      return refuse(tooLarge(maxBytes));
    }
    request.on('data', take);
    request.on('end', () => {
      const body = collector.bytes();
      if (isUtf8(body)) resolve(body.toString());
      else reject(new RefusedRequest('BAD_USER_INPUT', 400, 'The request body is not UTF-8.'));
    });
    request.on('error', ignore);
  });
}

/** Without a listener it would be an uncaught exception; nobody is there to be told. */
function ignore(): void {}

function tooLarge(maxBytes: number): RefusedRequest {
  return new RefusedRequest(
    'PAYLOAD_TOO_LARGE',
    413,
    `The request body is longer than ${maxBytes} bytes.`,
  );
}
