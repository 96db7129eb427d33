/** `localhost`, 127.0.0.0/8 and ::1: where nobody can listen in. */
const LOOPBACK = /^(localhost|127(\.\d{1,3}){3}|\[::1\])$/;

/** True for an `http:` URL on a loopback host, the only place where credentials may go without TLS. */
export function isPlainLoopback({ protocol, hostname }: URL): boolean {
  return protocol === 'http:' && LOOPBACK.test(hostname);
}
