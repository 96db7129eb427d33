import { once } from 'node:events';
import { createServer } from 'node:http';
import { fileURLToPath } from 'node:url';
import type { Browser, Page } from 'playwright-core';
import { build, type Plugin } from 'vite';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { launchBrowser } from '../support/browser.ts';
import { ECHO, startScriptedUpstream } from '../support/scripted-upstream.ts';
import { startTestGateway } from '../support/test-gateway.ts';

const ENTRY = fileURLToPath(new URL('../support/browser-clients.js', import.meta.url));
const PACKAGES = fileURLToPath(new URL('../../examples/clients/with-apollo.ts', import.meta.url));

/** The packages are those of the examples. */
const fromExamples: Plugin = {
  name: 'from-examples',
  resolveId(source, importer) {
    if (importer !== ENTRY) return undefined;
    return this.resolve(source, PACKAGES);
  },
};

let browser: Browser;
let clients: string;

beforeAll(async () => {
  [browser, clients] = await Promise.all([launchBrowser(), bundle()]);
}, 60_000);

afterAll(() => browser.close());

async function bundle(): Promise<string> {
  const output = await build({
    configFile: false,
    logLevel: 'error',
    plugins: [fromExamples],
    build: {
      write: false,
      minify: false,
      lib: { entry: ENTRY, formats: ['iife'], name: 'clients' },
    },
    define: { 'process.env.NODE_ENV': '"production"' },
  });
  const [{ output: chunks } = { output: [] }] = [output].flat().filter((each) => 'output' in each);
  return chunks.map((chunk) => ('code' in chunk ? chunk.code : '')).join('\n');
}

/** Another site, with an empty page. */
async function startSite() {
  const server = createServer((_request, response) => {
    response.setHeader('content-type', 'text/html').end('<!doctype html><title>App</title>');
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  const port = typeof address === 'object' && address !== null ? address.port : 0;
  return {
    // Another origin, and another site.
    origin: `http://localhost:${port}`,
    async [Symbol.asyncDispose]() {
      server.close();
      server.closeAllConnections();
      await once(server, 'close');
    },
  };
}

function ask(page: Page, how: string, ...parameters: string[]): Promise<unknown> {
  return page.evaluate(`${how}(${parameters.map((each) => JSON.stringify(each)).join(', ')})`);
}

const status = (id: string, text: string) => ({ id: `vehicles/${id}`, status: text });

test.each([['the same origin'], ['an origin on the list']])(
  '73: in a browser, from %s, Apollo Client with a persisted-query link and urql as it comes get their answers from a gateway as it is',
  async (where) => {
    await using site = await startSite();
    await using gateway = await startTestGateway({
      environment: where === 'the same origin' ? {} : { CORS_ORIGINS: site.origin },
    });
    const page = await browser.newPage();
    const methods: string[] = [];
    page.on('request', (request) => {
      if (request.url().startsWith(gateway.endpoint.href)) methods.push(request.method());
    });
    await page.goto(
      where === 'the same origin' ? new URL('/livez', gateway.url).href : site.origin,
    );
    await page.addScriptTag({ content: clients });

    expect(await ask(page, 'askWithUrql', gateway.endpoint.href)).toEqual({
      data: { batchStatus: expect.objectContaining(status('batch-finished', 'SUCCESS')) },
      error: undefined,
    });
    expect(methods).toContain('GET');
    expect(await ask(page, 'askWithApollo', gateway.endpoint.href)).toEqual([
      { batchStatus: expect.objectContaining(status('batch-finished', 'SUCCESS')) },
      { batchStatus: expect.objectContaining(status('batch-failed', 'FAILED')) },
    ]);
    await page.close();
  },
);

test.each([['the same origin'], ['an origin on the list']])(
  "in a browser, from %s, Apollo Client, urql, graphql-sse's client and EventSource follow a batch from start to finished",
  async (where) => {
    await using site = await startSite();
    await using upstream = await startScriptedUpstream();
    const isSame = where === 'the same origin';
    const environment = { FOLLOW_MIN_MS: '100', ...(isSame ? {} : { CORS_ORIGINS: site.origin }) };
    await using gateway = await startTestGateway({ upstream, environment });
    const asked = new Map<string, number>();
    upstream.onStatus = ({ target }) => {
      const turn = (asked.get(target) ?? 0) + 1;
      asked.set(target, turn);
      return { body: { data: { status: turn < 3 ? `STEP_${turn}` : 'SUCCESS' }, request: ECHO } };
    };
    const page = await browser.newPage();
    await page.goto(isSame ? new URL('/livez', gateway.url).href : site.origin);
    await page.addScriptTag({ content: clients });

    for (const how of ['Apollo', 'Urql', 'GraphqlSse', 'EventSource']) {
      const told = await ask(page, `followWith${how}`, gateway.endpoint.href, `b-${how}`);
      expect([how, told]).toEqual([how, ['STEP_1', 'STEP_2', 'SUCCESS']]);
    }
    await page.close();
  },
);

test('9: in a browser, a page of another site gets nothing, by whatever client (API8:2023)', async () => {
  await using site = await startSite();
  await using gateway = await startTestGateway();
  const page = await browser.newPage();
  await page.goto(site.origin);
  await page.addScriptTag({ content: clients });
  expect(await ask(page, 'askWithUrql', gateway.endpoint.href)).toEqual({
    data: undefined,
    error: expect.stringContaining('Failed to fetch'),
  });
  await expect(ask(page, 'askWithApollo', gateway.endpoint.href)).rejects.toThrow(
    'Failed to fetch',
  );
  await page.close();
});
