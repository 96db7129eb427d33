import type { IncomingMessage } from 'node:http';
import { BlockList, isIP, isIPv4, SocketAddress } from 'node:net';

/** Tells from which address a request comes, as far as that can be trusted. */
export type ClientIp = (request: IncomingMessage) => string;

/**
 * `trustedProxies` are addresses and ranges (`10.0.0.0/8`) of the proxies in front of the gateway. The
 * client is whoever connects; where that is a trusted proxy, the last address in its `X-Forwarded-For`
 * that is not one itself. What a client writes there further left is not looked at, nor is any other
 * header. Of an IPv6 address only the first 64 bits are told: a client has all that begin with them.
 */
export function createClientIp(trustedProxies: readonly string[]): ClientIp {
  const trusted = new BlockList();
  for (const proxy of trustedProxies) {
    const [address = '', prefix] = proxy.split('/');
    const family = isIPv4(address) ? 'ipv4' : 'ipv6';
    if (prefix === undefined) trusted.addAddress(address, family);
    else trusted.addSubnet(address, Number(prefix), family);
  }
  const isTrusted = (address: string) => trusted.check(address, isIPv4(address) ? 'ipv4' : 'ipv6');

  return ({ socket, headers }) => {
    let client = plain(socket.remoteAddress ?? '');
    if (trustedProxies.length === 0) return network(client);
    const hops = String(headers['x-forwarded-for'] ?? '').split(',');
    while (isIP(client) !== 0 && isTrusted(client)) {
      const hop = plain(hops.pop()?.trim() ?? '');
      if (isIP(hop) === 0) break;
      client = hop;
    }
    return network(client);
  };
}

/** Without a zone; an IPv4 address that came by IPv6 (RFC 4291, section 2.5.5.2) is that IPv4 address. */
function plain(text: string): string {
  const [address = ''] = text.split('%');
  return /^::ffff:(?=\d+\.)/i.test(address) ? address.slice(7) : address;
}

function network(address: string): string {
  if (isIP(address) !== 6) return address;
  // Written in full, whatever way it came.
  const [head = '', tail = ''] = new SocketAddress({ address, family: 'ipv6' }).address.split('::');
  const before = head === '' ? [] : head.split(':');
  const after = tail === '' ? [] : tail.split(':');
  const zeros = Array.from({ length: Math.max(0, 8 - before.length - after.length) }, () => '0');
  return `${[...before, ...zeros, ...after].slice(0, 4).join(':')}::/64`;
}
