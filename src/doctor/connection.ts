import { isIP, connect as openTcp, type Socket } from 'node:net';
import { connect as openTls, type PeerCertificate, type TLSSocket } from 'node:tls';
import { HttpClientError } from '../http-client/errors.ts';
import type { FindRoute } from '../http-client/route.ts';
import { openTunnel } from '../http-client/tunnel.ts';
import type { Clock } from '../lib/clock.ts';
import { hostOf, portOf } from '../lib/url.ts';
import type { Finding } from './report.ts';

/** The addresses of a name. Rejects with the system's error. */
export type LookUp = (host: string) => Promise<string[]>;

/** How steps on the network are run: none longer than `timeoutMs`. */
export interface Look {
  clock: Clock;
  timeoutMs: number;
  lookUp: LookUp;
  findRoute: FindRoute;
}

/** A certificate that ends sooner is a warning: it should have been renewed by now. */
const CERTIFICATE_NOTICE_DAYS = 21;
const DAY_MS = 86_400_000;

/**
 * Whether the name of an address can be found, as the gateway would: by the system's resolver. Where there is a proxy,
 * that is its name; the other is for it to find.
 */
export async function lookUpName(url: URL, look: Look): Promise<Finding> {
  const { proxy } = look.findRoute(url);
  const host = hostOf(proxy ?? url);
  const role = proxy && `, the proxy to ${hostOf(url)},`;
  if (isIP(host)) return { verdict: 'ok', message: `${host}${role ?? ''} is an address` };
  try {
    const addresses = await within(look, look.lookUp(host));
    return {
      verdict: 'ok',
      message: `${host}${role ?? ''} is ${addresses.join(', ')}`,
      facts: { host, addresses },
    };
  } catch (error) {
    const code = codeOf(error);
    return {
      verdict: 'failed',
      message: `${host} cannot be looked up (${code})`,
      advice:
        code === 'ENOTFOUND'
          ? 'There is no such name: check how it is written in the settings, and that it is known where this runs.'
          : "The resolver does not answer: check this machine's DNS.",
      facts: { host, code },
    };
  }
}

/** Whether a connection can be opened, through a proxy or straight. */
export async function openConnection(url: URL, look: Look): Promise<Finding> {
  const { proxy } = look.findRoute(url);
  const way = proxy === undefined ? '' : ` through the proxy ${proxy.host}`;
  const to = `${hostOf(url)}:${portOf(url)}${way}`;
  try {
    const socket = await openSocket(url, look);
    const address = socket.remoteAddress ?? null;
    socket.destroy();
    const facts = { address, ...(proxy && { proxy: proxy.host }) };
    return { verdict: 'ok', message: `connected to ${to}`, facts };
  } catch (error) {
    const code = error instanceof HttpClientError ? error.message : codeOf(error);
    const advice = proxy === undefined ? adviceForRoute(code) : adviceForProxy(code);
    return {
      verdict: 'failed',
      message: `no connection to ${to} (${code})`,
      advice,
      facts: { code, ...(proxy && { proxy: proxy.host }) },
    };
  }
}

function openSocket(url: URL, look: Look): Promise<Socket> {
  const { proxy } = look.findRoute(url);
  return proxy === undefined
    ? connected(look, openTcp({ host: hostOf(url), port: portOf(url) }), 'connect')
    : openTunnel(proxy, `${url.hostname}:${portOf(url)}`, look.timeoutMs);
}

function adviceForRoute(code: string): string {
  return code === 'ECONNREFUSED'
    ? 'Nothing listens there: check the port, and that the service runs.'
    : 'Check routes and firewalls between here and there. Where there is a proxy to go through, set HTTPS_PROXY.';
}

function adviceForProxy(code: string): string {
  return code.includes('407')
    ? 'The proxy wants a name and a password: https://name:password@host:port in HTTPS_PROXY, or in HTTPS_PROXY_FILE.'
    : 'Check HTTPS_PROXY, and that the proxy lets this host through; what is to be reached without it is listed in NO_PROXY.';
}

/** Whether TLS can be spoken, whether the certificate is trusted, and when it ends. */
export async function inspectTls(url: URL, look: Look): Promise<Finding> {
  if (url.protocol !== 'https:') {
    return { verdict: 'ok', message: 'none: plain HTTP, which is accepted on loopback only' };
  }
  const host = hostOf(url);
  let socket: Socket | undefined;
  try {
    socket = await openSocket(url, look);
    // Also one that is not trusted is looked at: nothing is sent over this connection.
    const secured = openTls({
      socket,
      host,
      ...(isIP(host) ? {} : { servername: host }),
      ...look.findRoute(url).certificate,
      ALPNProtocols: ['http/1.1'],
      rejectUnauthorized: false,
    });
    await connected(look, secured, 'secureConnect');
    return judgeCertificate(secured, look.clock.date());
  } catch (error) {
    const code = codeOf(error);
    return {
      verdict: 'failed',
      message: `no TLS with ${host}:${portOf(url)} (${code})`,
      advice:
        'Check that this port speaks TLS 1.2 or newer, and what stands between here and there.',
      facts: { code },
    };
  } finally {
    socket?.destroy();
  }
}

function judgeCertificate(socket: TLSSocket, now: Date): Finding {
  const certificate = socket.getPeerCertificate();
  const until = new Date(certificate.valid_to);
  const daysLeft = Math.floor((until.getTime() - now.getTime()) / DAY_MS);
  const end = until.toISOString().slice(0, 10);
  const facts = {
    protocol: socket.getProtocol(),
    subject: commonName(certificate.subject),
    issuer: commonName(certificate.issuer),
    validUntil: until.toISOString(),
    daysLeft,
  };
  const { authorizationError } = socket;
  if (!socket.authorized) {
    const code = String(
      authorizationError instanceof Error ? codeOf(authorizationError) : authorizationError,
    );
    return {
      verdict: 'failed',
      message: `the certificate of ${facts.subject}, until ${end}, is not trusted (${code})`,
      advice: adviceFor(code),
      facts: { ...facts, code },
    };
  }
  const message = `${facts.protocol}; the certificate ends on ${end}, in ${daysLeft} days`;
  if (daysLeft >= CERTIFICATE_NOTICE_DAYS) return { verdict: 'ok', message, facts };
  const advice = 'Have it renewed: once it has ended, no call succeeds.';
  return { verdict: 'warning', message, advice, facts };
}

function adviceFor(code: string): string {
  switch (code) {
    case 'CERT_HAS_EXPIRED':
      return 'Have it renewed.';
    case 'CERT_NOT_YET_VALID':
      return "It is not valid yet: check this machine's clock.";
    case 'ERR_TLS_CERT_ALTNAME_INVALID':
      return 'It is for another name: check the address in the settings, and what stands between here and there.';
    default:
      return 'If a certificate authority of your own issued it, name its file in NODE_EXTRA_CA_CERTS for the gateway; else something stands between here and there.';
  }
}

function commonName({ CN }: PeerCertificate['subject'] = {}): string {
  return [CN].flat().join(', ') || 'nobody';
}

function connected<T extends Socket>(
  { clock, timeoutMs }: Look,
  socket: T,
  event: 'connect' | 'secureConnect',
): Promise<T> {
  return new Promise((resolve, reject) => {
    const cancel = clock.after(timeoutMs, () => socket.destroy(timeout(timeoutMs)));
    socket.once('error', (error) => {
      cancel();
      reject(error);
    });
    socket.once(event, () => {
      cancel();
      resolve(socket);
    });
  });
}

async function within<T>({ clock, timeoutMs }: Look, promise: Promise<T>): Promise<T> {
  const late = Promise.withResolvers<never>();
  const cancel = clock.after(timeoutMs, () => late.reject(timeout(timeoutMs)));
  try {
    return await Promise.race([promise, late.promise]);
  } finally {
    cancel();
  }
}

function timeout(ms: number): Error {
  return Object.assign(new Error('time-out'), { code: `nothing within ${ms} ms` });
}

function codeOf(error: unknown): string {
  return error instanceof Error && 'code' in error ? String(error.code) : 'unknown';
}
