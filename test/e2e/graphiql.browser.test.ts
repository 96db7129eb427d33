import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import type { Browser, Locator, Page } from 'playwright-core';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { systemClock } from '../../src/lib/clock.ts';
import { startSandbox } from '../../src/sandbox/sandbox.ts';
import { launchBrowser, type PageRecord, recordPage } from '../support/browser.ts';
import { TestClock } from '../support/test-clock.ts';
import { STATUS_QUERY, startTestGateway, type TestGateway, UUID } from '../support/test-gateway.ts';

const clock = new TestClock();
const PATIENCE = { timeout: 30_000 };
let browser: Browser;
let gateway: TestGateway;
/** GraphiQL takes longer to load than all that is done with it, so it is loaded once. */
let graphiql: { page: Page; record: PageRecord };

beforeAll(async () => {
  browser = await launchBrowser();
  gateway = await startTestGateway({ clock, environment: { ERROR_DETAIL: 'public' } });
  graphiql = await openGraphiQL(gateway);
}, 60_000);

afterAll(async () => {
  await browser.close();
  await gateway[Symbol.asyncDispose]();
});

async function openGraphiQL({ endpoint }: TestGateway) {
  const page = await browser.newPage({ viewport: { width: 1280, height: 800 } });
  const record = recordPage(page);
  const answer = await page.goto(endpoint.href);
  await page.locator('.graphiql-query-editor').getByText('RunningBatch').waitFor();
  return { page, record, answer };
}

/**
 * What the pane on the right shows after a click on the play button; undefined while it is no JSON.
 * While the editor is still loading, a click can be lost: polled, this clicks again, as a person does.
 */
async function run(page: Page): Promise<unknown> {
  const pane = page.locator('.result-window .view-lines');
  await page.getByRole('button', { name: 'Execute query' }).click();
  try {
    await pane.getByText('"data"').waitFor({ timeout: 3_000 });
    return JSON.parse((await pane.innerText()).replaceAll('\u00a0', ' '));
  } catch {
    return undefined;
  }
}

/** Clicks until what that brings is there: as with `run`, a click can be lost. */
async function clickFor(brought: Locator, clicked: Locator): Promise<void> {
  const click = async () => {
    if (await brought.isVisible()) return true;
    await clicked.click();
    return brought.waitFor({ timeout: 3_000 }).then(
      () => true,
      () => false,
    );
  };
  await expect.poll(click, PATIENCE).toBe(true);
}

function openTab(page: Page, title: string, text: string): Promise<void> {
  const line = page.locator('.graphiql-query-editor').getByText(text);
  return clickFor(line, page.getByTitle(title, { exact: true }));
}

/**
 * Takes the picture for the documents. They keep the one that they have, so that a test leaves the
 * tree as it is; `npm run pictures` takes them anew.
 */
async function takePicture(page: Page, name: string): Promise<void> {
  const path = fileURLToPath(new URL(`../../docs/images/${name}.png`, import.meta.url));
  const picture = await page.screenshot({ animations: 'disabled', caret: 'hide' });
  expect(picture.subarray(1, 4).toString()).toBe('PNG');
  if (process.env['PICTURES'] === 'write' || !existsSync(path)) {
    await page.screenshot({ animations: 'disabled', caret: 'hide', path });
  }
}

test('GraphiQL runs its default tab, with no request to another host', async () => {
  // The batch begins with the first look at it.
  await gateway.query(STATUS_QUERY, { participantType: 'vehicles', batchId: 'batch-running' });
  clock.advance(21_000);
  const { page, record } = graphiql;

  await expect
    .poll(() => run(page), PATIENCE)
    .toEqual({
      data: {
        batchStatus: {
          id: 'vehicles/batch-running',
          status: 'IN_PROGRESS',
          finished: false,
          progress: 0.35,
          totalCount: 1200,
          successCount: 420,
          failureCount: 0,
          fetchedAt: '2026-01-31T12:00:21.000Z',
        },
      },
    });
  await takePicture(page, 'graphiql-result');
  expect(record).toEqual({ origins: new Set([gateway.url.origin]), errors: [] });
}, 60_000);

test('GraphiQL follows a batch, and shows each change until it is finished', async () => {
  const { page, record } = graphiql;
  const pane = page.locator('.result-window .view-lines');
  const shown = async () => JSON.parse((await pane.innerText()).replaceAll('\u00a0', ' '));
  const update = (members: object) => ({
    data: {
      batchStatusUpdates: {
        batchStatus: {
          id: 'vehicles/batch-running',
          status: 'IN_PROGRESS',
          finished: false,
          totalCount: 1200,
          failureCount: 0,
          ...members,
        },
      },
    },
  });

  await openTab(page, 'FollowBatches', 'batchStatusUpdates');
  const stop = page.getByRole('button', { name: 'Stop query' });
  await clickFor(stop, page.getByRole('button', { name: 'Execute query' }));
  await expect
    .poll(shown, PATIENCE)
    .toEqual(update({ progress: 0.35, successCount: 420, fetchedAt: '2026-01-31T12:00:21.000Z' }));
  clock.advance(21_000);
  await expect
    .poll(shown, PATIENCE)
    .toEqual(update({ progress: 0.7, successCount: 840, fetchedAt: '2026-01-31T12:00:42.000Z' }));
  await takePicture(page, 'graphiql-progress');
  clock.advance(18_000);
  await stop.waitFor({ state: 'detached' });
  expect(await shown()).toEqual(
    update({
      status: 'SUCCESS',
      finished: true,
      progress: 1,
      successCount: 1200,
      fetchedAt: '2026-01-31T12:01:00.000Z',
    }),
  );
  expect(record).toEqual({ origins: new Set([gateway.url.origin]), errors: [] });
}, 60_000);

test('GraphiQL shows an error with all that it tells', async () => {
  const { page, record } = graphiql;

  await openTab(page, 'Fault', 'fault-404');
  await expect
    .poll(() => run(page), PATIENCE)
    .toEqual({
      errors: [
        {
          message: 'The batch does not exist.',
          path: ['batchStatus'],
          extensions: {
            code: 'NOT_FOUND',
            retryable: false,
            requestId: UUID,
            upstream: {
              status: 404,
              code: '101100120005',
              description: 'The batch does not exist.',
              additionalInfo: {},
            },
          },
        },
      ],
      data: { batchStatus: null },
    });
  await takePicture(page, 'graphiql-error');
  expect(record).toEqual({ origins: new Set([gateway.url.origin]), errors: [] });
}, 60_000);

test('GraphiQL has a tab whose answer explains itself', async () => {
  const { page, record } = graphiql;

  await openTab(page, 'Explain', 'batch-finished');
  const explained = page.waitForResponse(
    (response) => response.request().headers()['x-explain'] === '1',
  );
  await expect
    .poll(() => run(page).then(() => page.locator('.result-window').innerText()), PATIENCE)
    .toContain('explain');
  expect(await (await explained).json()).toEqual({
    data: { batchStatus: { status: 'SUCCESS' } },
    extensions: { explain: expect.objectContaining({ batches: [expect.anything()] }) },
  });
  await takePicture(page, 'graphiql-explain');
  expect(record).toEqual({ origins: new Set([gateway.url.origin]), errors: [] });
}, 60_000);

test('GraphiQL shows what the schema says of batchStatus and its arguments', async () => {
  const { page } = graphiql;

  await page.getByRole('button', { name: 'Show Documentation Explorer' }).click();
  const docs = page.locator('.graphiql-doc-explorer');
  await docs.getByRole('link', { name: 'Query', exact: true }).click();
  await docs.getByRole('link', { name: 'batchStatus', exact: true }).click();

  await docs.getByText('The status of a batch request of one participant type.').waitFor();
  await docs.getByText('The plural name of a participant type: "vehicles", "drivers".').waitFor();
  await docs.getByText('Left out, the Participant Service picks the batch.').waitFor();
}, 60_000);

test('9: GraphiQL runs under the strict policy with a bearer token in its pane of headers', async () => {
  const sandbox = await startSandbox({ clock: systemClock, port: 0 });
  await using guarded = await startTestGateway({
    environment: {
      AUTH_MODE: 'jwt',
      AUTH_ISSUER: sandbox.url.origin,
      AUTH_AUDIENCE: sandbox.issuer.audience,
    },
  });
  const { page, record, answer } = await openGraphiQL(guarded);
  expect(answer?.headers()['content-security-policy']).toMatch(
    /^default-src 'none'; script-src 'self'; /,
  );

  await page.getByRole('button', { name: 'Headers' }).click();
  const headers = page.locator('.graphiql-editor-tool .monaco-editor').locator('visible=true');
  await headers.click();
  const token = await sandbox.issuer.issueToken({});
  await page.keyboard.insertText(JSON.stringify({ authorization: `Bearer ${token}` }));
  await expect
    .poll(() => run(page), PATIENCE)
    .toEqual({ data: { batchStatus: expect.objectContaining({ id: 'vehicles/batch-running' }) } });

  // Before there was a token, the schema was refused; nothing was by the policy.
  expect(record.origins).toEqual(new Set([guarded.url.origin]));
  expect(record.errors.filter((error) => !error.includes('401 (Unauthorized)'))).toEqual([]);
  await sandbox.close();
}, 60_000);
