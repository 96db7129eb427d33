import { BlockList, isIP } from 'node:net';
import { isLoopbackHost } from '../lib/loopback.ts';
import { hostOf, portOf } from '../lib/url.ts';

/** How a connection to an origin is opened. */
export interface Route {
  /** Through which proxy, by CONNECT; undefined: straight. */
  readonly proxy: URL | undefined;
  /** What is shown where the server asks for a certificate, in PEM. */
  readonly certificate: { readonly cert: string; readonly key: string } | undefined;
}

/** The route to the origin of a URL. */
export type FindRoute = (url: URL) => Route;

interface RouteOptions {
  /** Undefined: everything is reached straight. */
  proxy: URL | undefined;
  /** As NO_PROXY lists them: `*`; names, which stand for those below them, too; addresses and ranges; with a port or not. */
  noProxy: readonly string[];
  /** Shown to this origin alone. */
  certificate: { origin: string; cert: string; key: string } | undefined;
}

/** Loopback has no proxy. */
export function createFindRoute({ proxy, noProxy, certificate }: RouteOptions): FindRoute {
  const isExempt = createExemption(noProxy);
  return (url) => ({
    proxy: isLoopbackHost(url.hostname) || isExempt(url) ? undefined : proxy,
    certificate: certificate?.origin === url.origin ? certificate : undefined,
  });
}

function createExemption(noProxy: readonly string[]): (url: URL) => boolean {
  if (noProxy.includes('*')) return () => true;
  const addresses = new BlockList();
  const names: { suffix: string; port: string }[] = [];
  for (const item of noProxy) {
    const [address = '', prefix] = item.split('/');
    const family = isIP(address) === 4 ? 'ipv4' : 'ipv6';
    if (isIP(address) === 0) {
      const [, name = '', port = ''] = /^(.*?)(?::(\d+))?$/.exec(item.toLowerCase()) ?? [];
      names.push({ suffix: name.replace(/^\*?\.?/, '.'), port });
    } else if (prefix === undefined) addresses.addAddress(address, family);
    else addresses.addSubnet(address, Number(prefix), family);
  }
  return (url) => {
    const host = hostOf(url);
    const family = isIP(host);
    if (family !== 0 && addresses.check(host, family === 4 ? 'ipv4' : 'ipv6')) return true;
    return names.some(
      ({ suffix, port }) =>
        `.${url.hostname}`.endsWith(suffix) && (port === '' || Number(port) === portOf(url)),
    );
  };
}
