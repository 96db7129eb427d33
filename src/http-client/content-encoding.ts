import { promisify } from 'node:util';
import { brotliDecompress, gunzip, inflate, inflateRaw, zstdDecompress } from 'node:zlib';
import { HttpClientError, tooLarge } from './errors.ts';

type Decoder = (body: Buffer, options: { maxOutputLength: number }) => Promise<Buffer>;

const inZlib = promisify(inflate);
const raw = promisify(inflateRaw);

/** By its first two bytes, RFC 1950, section 2.2. */
function isZlib(body: Buffer): boolean {
  return body.length >= 2 && (body.readUInt8(0) & 0x0f) === 8 && body.readUInt16BE(0) % 31 === 0;
}

const DECODERS: ReadonlyMap<string, Decoder> = new Map<string, Decoder>([
  ['gzip', promisify(gunzip)],
  ['x-gzip', promisify(gunzip)],
  // By RFC 9110, section 8.4.1.2, in the zlib format; some send it without.
  ['deflate', (body, options) => (isZlib(body) ? inZlib : raw)(body, options)],
  ['br', promisify(brotliDecompress)],
  ['zstd', promisify(zstdDecompress)],
]);

/** Nobody encodes an answer more than once; each encoding more is another factor of a thousand. */
const MAX_ENCODINGS = 2;

/**
 * A body without its content-encodings (RFC 9110, section 8.4: a list, in the order in which they were
 * applied), each of which may give `maxBytes` at most. None is asked for, which by section 12.5.3
 * leaves the server its choice. Rejects with a {@link HttpClientError}: `too-large`, or `malformed` for
 * an encoding that is unknown, applied too often, or not there.
 */
export async function decodeContent(
  body: Buffer,
  contentEncoding: string,
  maxBytes: number,
): Promise<Buffer> {
  const names = contentEncoding
    .split(',')
    .map((name) => name.trim().toLowerCase())
    .filter((name) => name !== '' && name !== 'identity');
  const decoders = names.flatMap((name) => DECODERS.get(name) ?? []);
  if (decoders.length < names.length || names.length > MAX_ENCODINGS) {
    throw new HttpClientError('malformed', 'the content-encoding of the answer is not supported');
  }
  let decoded = body;
  for (const decode of decoders.reverse()) {
    decoded = await decode(decoded, { maxOutputLength: maxBytes }).catch((error: unknown) => {
      const code = error instanceof Error && 'code' in error ? error.code : undefined;
      throw code === 'ERR_BUFFER_TOO_LARGE'
        ? tooLarge(maxBytes)
        : new HttpClientError('malformed', 'the answer is not what its content-encoding says');
    });
  }
  return decoded;
}
