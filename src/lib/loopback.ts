/** `localhost`, 127.0.0.0/8 and ::1: where nobody can listen in. */
const LOOPBACK = /^(localhost|127(\.\d{1,3}){3}|\[::1\])$/;

/** True for a host name or address, as it stands in a URL or alone, that only this machine can reach. */
export function isLoopbackHost(host: string): boolean {
  return host === '::1' || LOOPBACK.test(host);
}

/** True for an `http:` URL on a loopback host, the only place where credentials may go without TLS. */
export function isPlainLoopback({ protocol, hostname }: URL): boolean {
  return protocol === 'http:' && isLoopbackHost(hostname);
}
