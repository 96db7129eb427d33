import { TextFileError } from '../lib/text-file.ts';

/** What a tenant's file says of one name. */
export interface TenantFileEntry {
  readonly name: string;
  /** The line that the name is in; the first is 1. */
  readonly line: number;
  /** As the environment would have it; undefined for what no variable can be: null, an object, an empty list. */
  readonly text: string | undefined;
}

/**
 * Reads a tenant's file: a JSON object of texts, numbers (as they are written), `true` and `false` (on and off), and
 * lists of them (with commas between). A name may come twice: that is for the caller to judge. Throws a
 * {@link TextFileError} that names the line, and nothing that is there, where it is not JSON (RFC 8259), or no object.
 */
export function decodeTenantFile(text: string): TenantFileEntry[] {
  const tokens = new Tokens(text.replace(/^\ufeff/, ''));
  if (tokens.next() !== '{') throw tokens.fault('is not a JSON object');
  const entries = readMembers(tokens, 0);
  if (tokens.next() !== '') throw tokens.fault('goes on after the end of its object');
  return entries;
}

/** Nothing that a variable can be is nested so deep. */
const MAX_DEPTH = 8;

/** From behind the brace to the one that closes it. */
function readMembers(tokens: Tokens, depth: number): TenantFileEntry[] {
  const entries: TenantFileEntry[] = [];
  for (let token = tokens.next(); token !== '}'; token = tokens.next()) {
    if (entries.length > 0) {
      if (token !== ',') throw tokens.fault('has no comma or } where one should be');
      token = tokens.next();
    }
    if (!token.startsWith('"')) throw tokens.fault('has no name in quotes where one should be');
    const { line } = tokens;
    const name = tokens.parse(token);
    if (tokens.next() !== ':') throw tokens.fault('has no colon after a name');
    entries.push({ name, line, text: readValue(tokens, tokens.next(), depth) });
  }
  return entries;
}

function readValue(tokens: Tokens, token: string, depth: number): string | undefined {
  if (depth > MAX_DEPTH) throw tokens.fault('is nested too deep');
  if (token.startsWith('"')) return tokens.parse(token);
  if (token === '{') {
    readMembers(tokens, depth + 1);
    return undefined;
  }
  if (token === '[') return readList(tokens, depth);
  if (/^[-\d]/.test(token)) return token;
  if (token === 'true') return 'on';
  if (token === 'false') return 'off';
  if (token === 'null') return undefined;
  throw tokens.fault('has no value where one should be');
}

/** From behind the bracket to the one that closes it. An item with a comma would be two. */
function readList(tokens: Tokens, depth: number): string | undefined {
  const items: (string | undefined)[] = [];
  for (let token = tokens.next(); token !== ']'; token = tokens.next()) {
    if (items.length > 0) {
      if (token !== ',') throw tokens.fault('has no comma or ] where one should be');
      token = tokens.next();
    }
    const isNested = token === '[';
    const item = readValue(tokens, token, depth + 1);
    items.push(isNested || item?.trim() === '' || item?.includes(',') ? undefined : item);
  }
  return items.length === 0 || items.includes(undefined) ? undefined : items.join(',');
}

/** A text (whole, so that nothing in it is taken for something else), a number, a word, or a mark. */
const TOKEN =
  /"[^"\\]*(?:\\.[^"\\]*)*"|-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][-+]?\d+)?|true|false|null|[[\]{}:,]/sy;

const SPACE = /[ \t\n\r]*/y;

class Tokens {
  readonly #text: string;
  #end = 0;
  /** That of the last token; the first is 1. */
  line = 1;

  constructor(text: string) {
    this.#text = text;
  }

  /** The next token; an empty one at the end. */
  next(): string {
    SPACE.lastIndex = this.#end;
    const [space = ''] = SPACE.exec(this.#text) ?? [];
    this.line += space.match(/\r\n?|\n/g)?.length ?? 0;
    const at = SPACE.lastIndex;
    if (at === this.#text.length) return '';
    TOKEN.lastIndex = at;
    const [token] = TOKEN.exec(this.#text) ?? [];
    if (token === undefined) {
      const isComment = /^(?:\/[/*]|#)/.test(this.#text.slice(at, at + 2));
      throw this.fault(isComment ? 'has a comment, which JSON does not know' : 'is not JSON');
    }
    this.#end = TOKEN.lastIndex;
    return token;
  }

  /** What the last token says, which is a text. */
  parse(token: string): string {
    try {
      const text: unknown = JSON.parse(token);
      return String(text);
    } catch {
      throw this.fault('has a text with a line break in it, or an escape that JSON does not know');
    }
  }

  fault(problem: string): TextFileError {
    return new TextFileError(`${problem} (line ${this.line})`);
  }
}
