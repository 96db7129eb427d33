import { expect, test } from 'vitest';
import { createFindRoute } from '../../src/http-client/route.ts';

const proxy = new URL('http://proxy.example:3128');

function goesStraight(noProxy: string, url: string): boolean {
  const findRoute = createFindRoute({
    proxy,
    noProxy: noProxy.split(','),
    certificate: undefined,
  });
  return findRoute(new URL(url)).proxy === undefined;
}

const rows: [noProxy: string, straight: string[], proxied: string[]][] = [
  [
    'nobody.example',
    ['http://localhost:1', 'http://127.0.0.1:1', 'http://127.9.9.9', 'https://[::1]'],
    ['https://tenant.example', 'https://10.0.0.1', 'https://localhost.example'],
  ],
  ['*', ['https://tenant.example', 'https://10.0.0.1', 'https://[2001:db8::1]'], []],
  [
    'tenant.example',
    ['https://tenant.example', 'https://a.b.tenant.example:8443'],
    ['https://other-tenant.example', 'https://tenant.example.net'],
  ],
  [
    '.Tenant.example',
    ['https://tenant.example', 'https://a.tenant.example'],
    ['https://x.example'],
  ],
  ['*.tenant.example', ['https://a.tenant.example'], ['https://xtenant.example']],
  [
    'x.example,tenant.example:8443',
    ['https://tenant.example:8443', 'https://x.example'],
    ['https://tenant.example'],
  ],
  ['tenant.example:443', ['https://tenant.example'], ['https://tenant.example:8443']],
  [
    '10.0.0.0/8,192.0.2.1,fd00::/8',
    ['https://10.1.2.3', 'https://192.0.2.1:8443', 'https://[fd00::1]'],
    ['https://11.0.0.1', 'https://192.0.2.11', 'https://[2001:db8::1]'],
  ],
];

for (const [noProxy, straight, proxied] of rows) {
  test(`NO_PROXY=${noProxy}: who is reached straight, and who through the proxy`, () => {
    expect(straight.filter((url) => !goesStraight(noProxy, url))).toEqual([]);
    expect(proxied.filter((url) => goesStraight(noProxy, url))).toEqual([]);
  });
}

test('a client certificate is for its origin alone', () => {
  const certificate = { origin: 'https://tenant.example', cert: 'cert', key: 'key' };
  const findRoute = createFindRoute({ proxy: undefined, noProxy: [], certificate });
  expect(findRoute(new URL('https://tenant.example/path')).certificate).toBe(certificate);
  for (const url of ['https://tenant.example:8443', 'https://login.example']) {
    expect(findRoute(new URL(url)).certificate).toBeUndefined();
  }
});
