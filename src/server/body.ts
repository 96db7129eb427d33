import { isUtf8 } from 'node:buffer';
import type { IncomingMessage } from 'node:http';
import { RefusedRequest } from '../core/errors.ts';
import { ByteCollector } from '../lib/byte-collector.ts';

/**
 * Reads the whole body as UTF-8. Rejects with a {@link RefusedRequest} as soon as it is, or says to be, longer than
 * `maxBytes`, or when it is not UTF-8; never settles when the client goes away before its end: then nobody is there
 * to be answered.
 */
export function readBody(request: IncomingMessage, maxBytes: number): Promise<string> {
  return new Promise((resolve, reject) => {
    const collector = new ByteCollector(maxBytes);
    const refuse = () => {
      request.off('data', take);
      request.resume();
      reject(
        new RefusedRequest(
          'PAYLOAD_TOO_LARGE',
          413,
          `The request body is longer than ${maxBytes} bytes.`,
        ),
      );
    };
    const take = (chunk: Buffer) => {
      if (!collector.add(chunk)) refuse();
    };
    if (Number(request.headers['content-length'] ?? 0) > maxBytes) return refuse();
    request.on('data', take);
    request.once('end', () => {
      const body = collector.bytes();
      if (isUtf8(body)) resolve(body.toString());
      else reject(new RefusedRequest('BAD_USER_INPUT', 400, 'The request body is not UTF-8.'));
    });
    // Without a listener it would be an uncaught exception.
    request.once('error', () => {});
  });
}
