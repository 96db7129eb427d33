const REDACTED = '[redacted]';

/** So many characters of a secret in a row are withheld. What is shorter might be a word of the answer. */
const PART = 16;
/** A part has one of these, wherever one begins to look: every eighth character suffices. */
const STEP = PART / 2;

/** A longer text of an error is not worth the time to look through it, in characters. */
const LONGEST_TEXT = 32 * 1024;

/** How often a text may be encoded: base64 of what is percent-encoded, and so on. */
const MAX_ENCODINGS = 3;

/**
 * Keeps an access token out of what the upstream says, should it quote it. Tokens of less than 16 characters are not
 * looked for: they could not be a secret.
 */
export class Redaction {
  readonly #token: string;
  /** What of it is a secret: the header of a JWT is the same for all. */
  readonly #secret: string;
  #percentForms: readonly string[] | undefined;
  #steps: ReadonlySet<string> | undefined;

  constructor(token: string) {
    this.#token = token;
    this.#secret = token.slice(headerLength(token));
  }

  /** Whether a body of data without escapes of JSON holds what {@link inData} redacts. */
  isIn(body: string): boolean {
    if (this.#token.length < PART) return false;
    if (body.includes(this.#token)) return true;
    return body.includes('%') && this.#encoded().some((form) => body.includes(form));
  }

  /** A text of data, without the token as it is or percent-encoded. */
  inData(text: string): string {
    if (text.length < this.#token.length || !this.isIn(text)) return text;
    const forms = [this.#token, ...this.#encoded()];
    return forms.reduce((shown, form) => shown.replaceAll(form, REDACTED), text);
  }

  /**
   * A text of an error, without the token, nor parts of it of 16 characters or more. It is withheld as a whole where
   * one may be encoded (percent, HTML, JSON, base64, or several of them), and where it is longer than 32 Ki
   * characters.
   */
  inError(text: string): string {
    if (text.length < PART || this.#token.length < PART) return text;
    if (text.length > LONGEST_TEXT) return REDACTED;
    const rest = text.replaceAll(this.#token, REDACTED);
    // Between what is encoded there would be left what is not.
    const shown = ENCODED.test(rest) ? rest : this.#withoutParts(rest);
    return this.#isToldBy(shown, MAX_ENCODINGS) ? REDACTED : shown;
  }

  #encoded(): readonly string[] {
    this.#percentForms ??= percentForms(this.#token);
    return this.#percentForms;
  }

  #withoutParts(text: string): string {
    let shown = '';
    let done = 0;
    for (let start = this.#find(text, 0); start !== -1; start = this.#find(text, done)) {
      shown += text.slice(done, start) + REDACTED;
      done = start + PART;
      while (done < text.length && this.#isPart(text.slice(done + 1 - PART, done + 1))) done += 1;
    }
    return shown + text.slice(done);
  }

  /** Where a part begins, from there on; -1: nowhere. */
  #find(text: string, from: number): number {
    this.#steps ??= new Set(Array.from(this.#secret, (_, at) => this.#secret.slice(at, at + STEP)));
    for (let at = from; at + STEP <= text.length; at += STEP) {
      if (!this.#steps.has(text.slice(at, at + STEP))) continue;
      for (let start = Math.max(from, at - STEP); start <= at; start += 1) {
        if (this.#isPart(text.slice(start, start + PART))) return start;
      }
    }
    return -1;
  }

  #isPart(text: string): boolean {
    return text.length === PART && this.#secret.includes(text);
  }

  /** Whether a text holds a part, as it is or encoded so many times. */
  #isToldBy(text: string, encodings: number): boolean {
    const plain = withoutEscapes(text);
    // Both alphabets of base64 in one.
    const urlSafe = plain.replaceAll('+', '-').replaceAll('/', '_');
    if (this.#find(plain, 0) !== -1) return true;
    if (urlSafe !== plain && this.#find(urlSafe, 0) !== -1) return true;
    return (
      encodings > 0 && textsInBase64(urlSafe).some((inner) => this.#isToldBy(inner, encodings - 1))
    );
  }
}

/** What escapes begin with, and what is written another way in base64url. */
const ENCODED = /[%&\\+/]/;

/** Of the first part of a JWT and its dot; 0 where it is none. */
function headerLength(token: string): number {
  const end = token.indexOf('.');
  try {
    const header: unknown = JSON.parse(Buffer.from(token.slice(0, end), 'base64url').toString());
    return typeof header === 'object' && header !== null ? end + 1 : 0;
  } catch {
    return 0;
  }
}

/** As encoders write it, which differ in what they encode and in case. */
function percentForms(token: string): string[] {
  const forms = [/[^\w.!~*'()-]/g, /[^a-z\d]/gi, /./g].flatMap((encoded) =>
    [toPercent, (character: string) => toPercent(character).toLowerCase()].map((encode) =>
      token.replace(encoded, encode),
    ),
  );
  return [...new Set(forms)].filter((form) => form !== token);
}

function toPercent(character: string): string {
  return `%${character.charCodeAt(0).toString(16).toUpperCase()}`;
}

/**
 * Percent-encoding; character references of HTML, by hexadecimal number, number or name; escapes of JSON and
 * JavaScript, by number or as they are. Each is one character of ASCII.
 */
const ESCAPE =
  /%([\da-f]{2})|&#x0*([\da-f]{2});?|&#0*(\d{2,3});?|&([a-z]+);|[\\%](?:u00|u\{0*|x)([\da-f]{2})\}?|\\(\W)/gi;

/** The text without escapes, whatever is inside what. */
function withoutEscapes(text: string): string {
  let plain = text;
  for (let round = 0; round < MAX_ENCODINGS && /[%&\\]/.test(plain); round += 1) {
    plain = plain.replace(ESCAPE, toCharacter);
  }
  return plain;
}

function toCharacter(
  sequence: string,
  percent: string | undefined,
  reference: string | undefined,
  decimal: string | undefined,
  name: string | undefined,
  escaped: string | undefined,
  itself: string | undefined,
): string {
  const hex = percent ?? reference ?? escaped;
  if (hex !== undefined) return fromHex(hex);
  if (decimal !== undefined) return String.fromCharCode(Number(decimal));
  return itself ?? NAMED.get(name?.toLowerCase() ?? '') ?? sequence;
}

function fromHex(hex: string): string {
  return String.fromCharCode(Number.parseInt(hex, 16));
}

/** The references to what stands in tokens, RFC 6750, section 2.1, and to "&" itself. */
const NAMED: ReadonlyMap<string, string> = new Map([
  ['amp', '&'],
  ['plus', '+'],
  ['sol', '/'],
  ['equals', '='],
  ['period', '.'],
  ['lowbar', '_'],
]);

/** What each run of base64 says, wherever in it that begins, as far as it could hold a part. */
function textsInBase64(urlSafe: string): string[] {
  const runs = urlSafe.match(/[\w-]{22,}/g) ?? [];
  return runs.flatMap((run) =>
    [0, 1, 2, 3].flatMap((at) => {
      const bytes = Buffer.from(run.slice(at), 'base64url').toString('latin1');
      return bytes.match(/[\x20-\x7e]{16,}/g) ?? [];
    }),
  );
}
