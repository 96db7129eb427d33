/** Why a file cannot be used, as the end of a sentence that begins with the file. */
export class TextFileError extends Error {
  override readonly name = 'TextFileError';
}

/** What nobody sees, and so nobody meant to write: control and format characters, and what stands for broken bytes. */
const INVISIBLE = /[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}\ufffd]/u;

/** Whether a text of one line has control characters, or others that nobody sees. */
export function hasInvisibleCharacters(text: string): boolean {
  return INVISIBLE.test(text);
}

/**
 * The text of a file, without a byte order mark. Throws a {@link TextFileError} for what is not UTF-8; what has a
 * NUL counts as UTF-16.
 */
export function decodeTextFile(bytes: Uint8Array): string {
  const [first, second] = bytes;
  const marked = (first === 0xff && second === 0xfe) || (first === 0xfe && second === 0xff);
  if (marked || bytes.includes(0)) throw new TextFileError('is in UTF-16: save it as UTF-8');
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch {
    throw new TextFileError('is not in UTF-8: save it as UTF-8');
  }
}

/**
 * The secret in a file, as orchestrators mount it. White space around it is not part of it. Throws a
 * {@link TextFileError}, which tells nothing of it.
 */
export function decodeSecretFile(bytes: Uint8Array): string {
  const secret = decodeTextFile(bytes).trim();
  if (secret === '') throw new TextFileError('is empty');
  if (hasInvisibleCharacters(secret)) {
    throw new TextFileError('has more than one line, or control or invisible characters');
  }
  return secret;
}
