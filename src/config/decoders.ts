import { BlockList, isIP } from 'node:net';
import { z } from 'zod';
import { isLoopbackHost, isPlainLoopback } from '../lib/loopback.ts';

/** Reads the text of a variable, and says in words which texts it accepts. */
export interface Decoder<T> {
  schema: z.ZodType<T, string>;
  accepts: string;
}

/** The same, which says of itself under which condition, too: what holds that is `rules.ts`. */
export function where<T>({ schema, accepts }: Decoder<T>, condition: string): Decoder<T> {
  return { schema, accepts: `${accepts}, ${condition}` };
}

/** A whole number in decimal digits, bounds included; `unit` as in "seconds, 0 to 300". */
export function integer(min: number, max: number, unit?: string): Decoder<number> {
  return {
    schema: z
      .string()
      .regex(/^\d{1,12}$/)
      .transform(Number)
      .refine((value) => value >= min && value <= max),
    accepts: unit ? `${unit}, ${min} to ${max}` : `a whole number from ${min} to ${max}`,
  };
}

/** One of these words, as it is written. */
export function oneOf<const T extends readonly string[]>(...words: T): Decoder<T[number]> {
  return {
    schema: z.enum(words),
    accepts: `${words.slice(0, -1).join(', ')} or ${words.at(-1)}`,
  };
}

/** A share of something. */
export const share: Decoder<number> = {
  schema: z
    .string()
    .regex(/^(?:0|1|[01]?\.\d{1,9})$/)
    .transform(Number)
    .refine((value) => value <= 1),
  accepts: 'a number from 0 to 1, such as 0.1',
};

export const onOff: Decoder<boolean> = {
  schema: z.enum(['on', 'off']).transform((value) => value === 'on'),
  accepts: 'on or off',
};

/** Any text up to that many UTF-16 units. */
export function textUpTo(characters: number): Decoder<string> {
  return { schema: z.string().max(characters), accepts: `up to ${characters} characters` };
}

/** A text that matches; `accepts` puts the pattern into words. */
export function matching(pattern: RegExp, accepts: string): Decoder<string> {
  return { schema: z.string().regex(pattern), accepts };
}

/**
 * Pairs `name=value`, separated by commas, the values percent-encoded, as OpenTelemetry has them (W3C Baggage). A name
 * and a decoded value have to match.
 */
export function pairsOf(
  what: string,
  isName: RegExp,
  isValue: RegExp,
): Decoder<Record<string, string>> {
  const toPair = (item: string): [string, string] | undefined => {
    const [, name = '', encoded = ''] = /^([^=]+?)\s*=\s*(.*)$/.exec(item.trim()) ?? [];
    if (!isName.test(name) || /%(?![\da-f]{2})/i.test(encoded)) return undefined;
    try {
      const value = decodeURIComponent(encoded);
      return isValue.test(value) ? [name, value] : undefined;
    } catch {
      return undefined;
    }
  };
  return {
    schema: z
      .string()
      .transform((text) => text.split(',').map(toPair))
      .refine((pairs) => !pairs.includes(undefined))
      .transform((pairs) => Object.fromEntries(pairs.filter((pair) => pair !== undefined))),
    accepts: `${what} as name=value, separated by commas, the values percent-encoded`,
  };
}

/** At least one item, separated by commas; blanks around them are left out, or separate as well. */
export function listOf(
  what: string,
  isItem: (text: string) => boolean,
  separator: RegExp = /,/,
): Decoder<string[]> {
  return {
    schema: z
      .string()
      .transform((value) =>
        value
          .split(separator)
          .map((text) => text.trim())
          .filter((text) => text !== ''),
      )
      .refine((items) => items.length > 0 && items.every(isItem)),
    accepts: `${what}, separated by commas`,
  };
}

/** Whether the file can be read is a question for `rules.ts`. */
export const path: Decoder<string> = {
  schema: z.string(),
  accepts: 'the path of a file that can be read',
};

/** Where credentials may go: also to an endpoint with a query, as some issuers have them. */
export const endpointUrl: Decoder<URL> = {
  schema: z
    .string()
    .refine((value) => URL.canParse(value))
    .transform((value) => new URL(value))
    .refine((url) => url.protocol === 'https:' || isPlainLoopback(url))
    .refine(({ username, password, hash }) => !username && !password && !hash),
  accepts: 'an https:// URL (http:// on loopback only) without credentials and fragment',
};

/** What paths are added to, in a network of one's own. */
export const collectorUrl: Decoder<URL> = {
  schema: z
    .string()
    .refine((value) => URL.canParse(value))
    .transform((value) => new URL(value))
    .refine(({ protocol }) => protocol === 'https:' || protocol === 'http:')
    .refine(({ username, password, search, hash }) => !username && !password && !search && !hash),
  accepts: 'an http:// or https:// URL without credentials, query and fragment',
};

/** What paths are added to. */
export const safeUrl: Decoder<URL> = {
  schema: endpointUrl.schema.refine(({ search }) => !search),
  accepts: 'an https:// URL (http:// on loopback only) without credentials, query and fragment',
};

/** The same, as it was written: what is compared letter by letter. */
export const safeUrlText: Decoder<string> = {
  schema: z.string().refine((value) => safeUrl.schema.safeParse(value).success),
  accepts: safeUrl.accepts,
};

const SCOPE = /^[\x21\x23-\x5b\x5d-\x7e]{1,256}$/;

/** One scope, as RFC 6749, section 3.3 has it. */
export const scope: Decoder<string> = matching(SCOPE, 'one scope');

export function isScope(text: string): boolean {
  return SCOPE.test(text);
}

/**
 * An origin as browsers send it: scheme, host, and a port that is not the scheme's own. Or the one of an app in a web
 * view; or `https://*.example.com`, whose `*` stands for one label of the host.
 */
export function isOriginOrPattern(text: string): boolean {
  if (/^(?:capacitor|ionic):\/\/localhost$/.test(text)) return true;
  const [, parent] = /^https:\/\/\*\.(.+)$/.exec(text) ?? [];
  const origin = parent === undefined ? text : `https://${parent}`;
  if (!/^https?:\/\/[^*]+$/.test(origin) || !URL.canParse(origin)) return false;
  const url = new URL(origin);
  // Not every site of a top-level domain, and addresses have no labels.
  return url.origin === origin && (parent === undefined || /\.[a-z]/.test(url.hostname));
}

/** An IP address, or a range of them as CIDR has it. */
function isAddressOrRange(text: string): boolean {
  const [address = '', prefix, ...more] = text.split('/');
  const bits = isIP(address) === 4 ? 32 : 128;
  return (
    isIP(address) !== 0 &&
    more.length === 0 &&
    (prefix === undefined || (/^\d{1,3}$/.test(prefix) && Number(prefix) <= bits))
  );
}

/** All of IPv4, as IPv6 has it (RFC 4291, section 2.5.5.2). */
const MAPPED_IPV4 = '::ffff:0:0';

/** The same, but for ranges in which there is everybody, such as 0.0.0.0/0 and 2000::/3, and for 0.0.0.0 and `::`. */
export function isAddressOrNarrowRange(text: string): boolean {
  if (!isAddressOrRange(text)) return false;
  const [address = '', prefix = '128'] = text.split('/');
  const bits = Number(prefix);
  if (isIP(address) === 4) return bits >= 8 && !address.startsWith('0.');
  const isIn = (other: string, range: string, length: number) => {
    const list = new BlockList();
    list.addSubnet(range, length, 'ipv6');
    return list.check(other, 'ipv6');
  };
  const ofIpv4 = isIn(address, MAPPED_IPV4, 96) || isIn(MAPPED_IPV4, address, bits);
  // The private range, fc00::/7, is the widest that somebody can have.
  return bits >= (ofIpv4 ? 96 + 8 : 7) && !isIn('::', address, bits);
}

/** `http://` or `https://`, a host, maybe a port, a name and a password; http where there is no scheme. */
export const proxyUrl: Decoder<URL> = {
  schema: z
    .string()
    .transform((text) => (text.includes('://') ? text : `http://${text}`))
    .refine((text) => URL.canParse(text))
    .transform((text) => new URL(text))
    .refine(({ protocol, hostname, pathname, search, hash }) => {
      return /^https?:$/.test(protocol) && hostname !== '' && pathname === '/' && !search && !hash;
    })
    .refine(({ username, password }) => !/%(?![\da-f]{2})/i.test(username + password)),
  accepts:
    'an http:// or https:// URL without path, query and fragment; what is special in name and password as %..',
};

/** A host name or an address as clients write it into `Host`, in any case: with a port only where that is not the scheme's own. */
export function isHost(text: string): boolean {
  const [, host = '', port] = /^([^:[\]]+|\[[\da-fA-F:.]+\])(?::([1-9]\d{0,4}))?$/.exec(text) ?? [];
  const isName =
    host.length <= 253 &&
    /^(?:[\da-z_](?:[\w-]{0,61}[\da-z_])?\.)*[\da-z_](?:[\w-]{0,61}[\da-z_])?$/i.test(host);
  const isAddress = host.startsWith('[') && isIP(host.slice(1, -1)) === 6;
  return (isName || isAddress) && port !== '80' && port !== '443' && Number(port ?? 1) <= 65_535;
}

/** What is in it are the tenant's batches: in clear text it goes to this machine alone. */
export const redisUrl: Decoder<URL> = {
  schema: z
    .string()
    .refine((text) => URL.canParse(text))
    .transform((text) => new URL(text))
    .refine(({ protocol, hostname }) => {
      return (
        (protocol === 'rediss:' && hostname !== '') ||
        (protocol === 'redis:' && isLoopbackHost(hostname))
      );
    })
    .refine(({ pathname, search, hash }) => /^(?:\/\d{0,4})?$/.test(pathname) && !search && !hash)
    .refine(({ username, password }) => isPercentEncoded(username + password)),
  accepts:
    'a rediss:// URL (redis:// on loopback only), maybe with a name, a password and the number of a database, without query and fragment; what is special in name and password as %..',
};

/** Whether it can be decoded. */
function isPercentEncoded(text: string): boolean {
  try {
    decodeURIComponent(text);
    return true;
  } catch {
    return false;
  }
}

/** What NO_PROXY lists: `*`; a host name, maybe with a dot or `*.` before it; an address or a range; maybe a port. */
export function isHostPattern(text: string): boolean {
  return (
    isAddressOrRange(text) ||
    /^(?:\*|(?:\*?\.)?[\w.-]+(?::\d{1,5})?|\[[\da-fA-F:.]+\](?::\d{1,5})?)$/.test(text)
  );
}
