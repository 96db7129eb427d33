import { type Browser, chromium, type Page } from 'playwright-core';
import { findChromium } from '../../scripts/find-chromium.ts';

/** The system's Chromium, without a window. It asks nobody for updates. */
export function launchBrowser(): Promise<Browser> {
  const executablePath = findChromium();
  if (executablePath === undefined) throw new Error('there is no Chromium on the PATH');
  return chromium.launch({
    executablePath,
    args: [
      '--no-sandbox',
      '--disable-gpu',
      '--disable-quic',
      '--no-first-run',
      '--disable-background-networking',
      '--disable-component-update',
      '--disable-sync',
    ],
  });
}

/** What a page did that its user does not see. */
export interface PageRecord {
  /** Of every request: what a firewall would have to let through. */
  origins: Set<string>;
  /** Errors on its console, and those that nobody caught. */
  errors: string[];
}

export function recordPage(page: Page): PageRecord {
  const record: PageRecord = { origins: new Set(), errors: [] };
  page.on('request', (request) => {
    const { protocol, origin } = new URL(request.url());
    if (protocol !== 'data:' && protocol !== 'blob:') record.origins.add(origin);
  });
  page.on('console', (message) => {
    if (message.type() === 'error') record.errors.push(message.text());
  });
  page.on('pageerror', (error) => record.errors.push(error.message));
  return record;
}
