import { isIP, connect as openTcp, type Socket } from 'node:net';
import { connect as openTls, type PeerCertificate, type TLSSocket } from 'node:tls';
import type { Clock } from '../lib/clock.ts';
import type { Finding } from './report.ts';

/** The addresses of a name. Rejects with the system's error. */
export type LookUp = (host: string) => Promise<string[]>;

/** How steps on the network are run: none longer than `timeoutMs`. */
export interface Look {
  clock: Clock;
  timeoutMs: number;
  lookUp: LookUp;
}

/** A certificate that ends sooner is a warning: it should have been renewed by now. */
const CERTIFICATE_NOTICE_DAYS = 21;
const DAY_MS = 86_400_000;

/** Whether the name of an address can be found, as the gateway would: by the system's resolver. */
export async function lookUpName(url: URL, look: Look): Promise<Finding> {
  const host = hostOf(url);
  if (isIP(host)) return { verdict: 'ok', message: `${host} is an address` };
  try {
    const addresses = await within(look, look.lookUp(host));
    return {
      verdict: 'ok',
      message: `${host} is ${addresses.join(', ')}`,
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

/** Whether a connection can be opened. */
export async function openConnection(url: URL, look: Look): Promise<Finding> {
  const to = `${hostOf(url)}:${portOf(url)}`;
  try {
    const socket = await connected(
      look,
      openTcp({ host: hostOf(url), port: portOf(url) }),
      'connect',
    );
    const address = socket.remoteAddress ?? null;
    socket.destroy();
    return { verdict: 'ok', message: `connected to ${to}`, facts: { address } };
  } catch (error) {
    const code = codeOf(error);
    return {
      verdict: 'failed',
      message: `no connection to ${to} (${code})`,
      advice:
        code === 'ECONNREFUSED'
          ? 'Nothing listens there: check the port, and that the service runs.'
          : 'Check routes and firewalls between here and there. The gateway does not go through HTTP proxies.',
      facts: { code },
    };
  }
}

/** Whether TLS can be spoken, whether the certificate is trusted, and when it ends. */
export async function inspectTls(url: URL, look: Look): Promise<Finding> {
  if (url.protocol !== 'https:') {
    return { verdict: 'ok', message: 'none: plain HTTP, which is accepted on loopback only' };
  }
  const host = hostOf(url);
  // Also one that is not trusted is looked at: nothing is sent over this connection.
  const socket = openTls({
    host,
    port: portOf(url),
    ...(isIP(host) ? {} : { servername: host }),
    ALPNProtocols: ['http/1.1'],
    rejectUnauthorized: false,
  });
  try {
    await connected(look, socket, 'secureConnect');
    return judgeCertificate(socket, look.clock.date());
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
    socket.destroy();
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

/** Without the brackets of an IPv6 address. */
function hostOf({ hostname }: URL): string {
  return hostname.replace(/^\[(.*)\]$/, '$1');
}

function portOf({ port, protocol }: URL): number {
  return Number(port) || (protocol === 'https:' ? 443 : 80);
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
