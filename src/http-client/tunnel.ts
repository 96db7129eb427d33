import type { RequestOptions } from 'node:http';
import { request as requestTls } from 'node:https';
import { isIP, type Socket } from 'node:net';
import buildConnector from 'undici/lib/core/connect.js';
import { request as requestPlain } from '../lib/node-http.ts';
import { hostOf, portOf } from '../lib/url.ts';
import { HttpClientError } from './errors.ts';

/**
 * A connection to `host:port` through a proxy, by CONNECT (RFC 9110, section 9.3.6), on which nothing was sent yet.
 * Rejects with a {@link HttpClientError} where the proxy refuses, or answers nothing within `timeoutMs`, and else
 * with the system's error.
 */
export function openTunnel(proxy: URL, authority: string, timeoutMs: number): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const host = hostOf(proxy);
    const options: RequestOptions & { servername: string } = {
      method: 'CONNECT',
      host,
      // Node.js would derive it from the header, which names the target.
      servername: isIP(host) ? '' : host,
      port: portOf(proxy),
      path: authority,
      headers: { host: authority, 'proxy-connection': 'keep-alive', ...authorizationOf(proxy) },
      agent: false,
    };
    const request = proxy.protocol === 'https:' ? requestTls(options) : requestPlain(options);
    const timer = setTimeout(() => {
      request.destroy(new HttpClientError('timeout', 'no answer of the proxy in time'));
    }, timeoutMs);
    request.once('connect', ({ statusCode = 0 }, socket, head) => {
      clearTimeout(timer);
      // Nobody speaks first in TLS but the client.
      if (statusCode >= 200 && statusCode < 300 && head.length === 0) return resolve(socket);
      socket.destroy();
      reject(new HttpClientError('unreachable', `the proxy answered ${statusCode} to CONNECT`));
    });
    request.once('error', (error) => {
      clearTimeout(timer);
      reject(error);
    });
    request.end();
  });
}

function authorizationOf({ username, password }: URL): Record<string, string> {
  if (username === '' && password === '') return {};
  const credentials = `${decodeURIComponent(username)}:${decodeURIComponent(password)}`;
  return { 'proxy-authorization': `Basic ${Buffer.from(credentials).toString('base64')}` };
}

/** Opens undici's connections through a proxy, each with TLS to its target inside. */
export function createTunnelConnector(
  proxy: URL,
  options: buildConnector.BuildOptions & { timeout: number },
): buildConnector.connector {
  const secure = buildConnector(options);
  return (target, callback) => {
    const host = target.host ?? target.hostname;
    const authority = target.port === '' ? `${host}:443` : host;
    openTunnel(proxy, authority, options.timeout).then(
      (httpSocket) => secure({ ...target, httpSocket }, callback),
      (error: Error) => callback(error, null),
    );
  };
}
