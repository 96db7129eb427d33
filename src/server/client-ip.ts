import type { IncomingMessage } from 'node:http';
import { BlockList, isIP, isIPv4, isIPv6, type Socket, SocketAddress } from 'node:net';

/** The headers in which a proxy can tell from whom a request came: one of them is read. */
type ClientAddressHeader = 'x-forwarded-for' | 'forwarded';

interface ClientIpOptions {
  /** Addresses and ranges (`10.0.0.0/8`) of the proxies in front of the gateway. */
  trustedProxies: readonly string[];
  /** The header that those proxies write. The other is never read: a client could write it. */
  header: ClientAddressHeader;
}

/** Tells from which address a request comes, as far as that can be trusted. */
export type ClientIp = (request: Pick<IncomingMessage, 'socket' | 'headers'>) => string;

/** Tells whether an address, as a socket has it, is among those listed, and in their ranges (`10.0.0.0/8`). */
export function createTrustedProxies(
  trustedProxies: readonly string[],
): (remoteAddress: string | undefined) => boolean {
  const trusted = new BlockList();
  for (const proxy of trustedProxies) {
    const [address = '', prefix] = proxy.split('/');
    const family = isIPv4(address) ? 'ipv4' : 'ipv6';
    if (prefix === undefined) trusted.addAddress(address, family);
    else trusted.addSubnet(address, Number(prefix), family);
  }
  return (remoteAddress = '') => {
    const address = toAddress(remoteAddress);
    return isIP(address) !== 0 && trusted.check(address, isIPv4(address) ? 'ipv4' : 'ipv6');
  };
}

/**
 * The client is whoever connects; where that is a trusted proxy, the last address in the header that is not one
 * itself. What a client writes there further left is not looked at. `X-Forwarded-For` is read as balancers write
 * it: with a port, in brackets, in quotes; `Forwarded` by RFC 7239. Of an IPv6 address only the first 64 bits are
 * told: a client has all that begin with them.
 */
export function createClientIp({ trustedProxies, header }: ClientIpOptions): ClientIp {
  const isTrusted = createTrustedProxies(trustedProxies);
  const ofSockets = new WeakMap<Socket, string>();
  function networkOf(socket: Socket): string {
    let network = ofSockets.get(socket);
    if (network === undefined) {
      network = toNetwork(toAddress(socket.remoteAddress ?? ''));
      ofSockets.set(socket, network);
    }
    return network;
  }

  return ({ socket, headers }) => {
    if (trustedProxies.length === 0) return networkOf(socket);
    let client = toAddress(socket.remoteAddress ?? '');
    // Node joins the lines of a header that came more than once.
    let hops = String(headers[header] ?? '');
    while (isTrusted(client)) {
      const [last = '', element = ''] = LAST_ELEMENT.exec(hops) ?? [];
      hops = hops.slice(0, hops.length - last.length);
      const hop = toAddress(header === 'forwarded' ? forOf(element) : element);
      if (isIP(hop) === 0) break;
      client = hop;
    }
    return toNetwork(client);
  };
}

/**
 * The last element of a list, with its comma; commas in quotes are a part of it. It is looked for from the end, or
 * a quote that a client did not close would hide what the proxy wrote behind it.
 */
const LAST_ELEMENT = /(?:^|,)((?:[^",]|"(?:[^"\\]|\\.)*")*)$/;

/** A parameter of an element of `Forwarded` (RFC 7239, section 4). */
const PARAMETER = /\s*([\w!#$%&'*+.^`|~-]+)=(?:"((?:[^"\\]|\\.)*)"|([^\s;,"]*))\s*(?:;|$)/gy;

/** The `for` parameter of one element of `Forwarded` (section 5.2); empty where the element is malformed. */
function forOf(element: string): string {
  const parameters = [...element.matchAll(PARAMETER)];
  if (parameters.map(([whole]) => whole).join('') !== element) return '';
  const [, , quoted, token] = parameters.find(([, name]) => name?.toLowerCase() === 'for') ?? [];
  return quoted ?? token ?? '';
}

/**
 * The address itself, without quotes, brackets, port and zone. An IPv4 address that came by IPv6 (RFC 4291, section
 * 2.5.5.2) is that IPv4 address.
 */
function toAddress(text: string): string {
  const bare = text.trim().replace(/^"(.*)"$/, '$1');
  const [, bracketed] = /^\[([^\]]*)\](?::[\w.-]+)?$/.exec(bare) ?? [];
  const [, beforePort] = /^(\d+\.\d+\.\d+\.\d+):[\w.-]+$/.exec(bare) ?? [];
  const [unzoned = ''] = (bracketed ?? beforePort ?? bare).split('%');
  if (!isIPv6(unzoned)) return unzoned;
  const address = new SocketAddress({ address: unzoned, family: 'ipv6' }).address;
  return address.startsWith('::ffff:') && isIPv4(address.slice(7)) ? address.slice(7) : address;
}

/** `address` as {@link toAddress} writes it. */
function toNetwork(address: string): string {
  if (isIP(address) !== 6) return address;
  const [head = '', tail = ''] = address.split('::');
  const before = head === '' ? [] : head.split(':');
  const after = tail === '' ? [] : tail.split(':');
  const zeros = Array.from({ length: Math.max(0, 8 - before.length - after.length) }, () => '0');
  return `${[...before, ...zeros, ...after].slice(0, 4).join(':')}::/64`;
}
