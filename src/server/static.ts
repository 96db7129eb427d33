import { createHash } from 'node:crypto';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { promisify } from 'node:util';
import { gzip } from 'node:zlib';
import { respond } from './respond.ts';

interface GraphiQLOptions {
  /** Path of the GraphQL endpoint. */
  endpoint: string;
  title: string;
  /** The operations that it opens with, a tab each, for who has not been there before. */
  operations: readonly {
    readonly query: string;
    /** That it is sent with. */
    readonly headers?: Readonly<Record<string, string>>;
  }[];
}

/** GraphiQL, served whole by the gateway: a browser behind a firewall needs no other host. */
export interface GraphiQL {
  /** The page for a browser that opens the GraphQL endpoint. */
  servePage(request: IncomingMessage, response: ServerResponse): void;
  /** A file that the page needs, found below {@link GRAPHIQL_ASSETS_PATH}; false for an unknown path. */
  serveAsset(path: string, request: IncomingMessage, response: ServerResponse): Promise<boolean>;
}

/** Where the page's files are. */
export const GRAPHIQL_ASSETS_PATH = '/graphiql/';

/**
 * Everything from the gateway alone, nothing inline but styles, which the editor sets on what it
 * draws; no other page may frame this one.
 */
const CONTENT_SECURITY_POLICY = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self' 'unsafe-inline'",
  "img-src 'self' data:",
  "font-src 'self' data:",
  "connect-src 'self'",
  "worker-src 'self'",
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
].join('; ');

interface Asset {
  contentType: string;
  etag: string;
  zipped: Buffer;
}

export function createGraphiQL({ endpoint, title, operations }: GraphiQLOptions): GraphiQL {
  const page = renderPage(title, {
    endpoint,
    title,
    // Subscriptions, too, which would go out as GET: their variables are for no log, and may be long.
    method: 'POST',
    defaultTabs: operations.map(({ query, headers }) => ({
      query,
      headers: headers && JSON.stringify(headers, undefined, 2),
    })),
  });
  // The files are nine megabytes of code: nothing is loaded before somebody opens the page.
  let assets: Promise<Map<string, Asset>> | undefined;

  return {
    servePage(request, response) {
      response.writeHead(200, {
        'content-type': 'text/html; charset=utf-8',
        'cache-control': 'no-cache',
        'content-security-policy': CONTENT_SECURITY_POLICY,
        'cross-origin-opener-policy': 'same-origin',
        'referrer-policy': 'no-referrer',
        'x-content-type-options': 'nosniff',
      });
      response.end(request.method === 'HEAD' ? undefined : page);
    },
    async serveAsset(path, request, response) {
      assets ??= loadAssets();
      const asset = (await assets).get(path.slice(GRAPHIQL_ASSETS_PATH.length));
      if (asset === undefined) return false;
      const headers = {
        etag: asset.etag,
        'cache-control': 'no-cache',
        vary: 'accept-encoding',
        'x-content-type-options': 'nosniff',
        'cross-origin-resource-policy': 'same-origin',
      };
      if (request.headers['if-none-match'] === asset.etag) {
        response.writeHead(304, headers).end();
        return true;
      }
      const all = { ...headers, 'content-type': asset.contentType, 'content-encoding': 'gzip' };
      respond(response, 200, Object.entries(all).flat(), asset.zipped, request.method === 'HEAD');
      return true;
    },
  };
}

const JAVASCRIPT = 'text/javascript; charset=utf-8';

/** The files of Yoga's own GraphiQL build, each zipped once. Every browser accepts gzip. */
async function loadAssets(): Promise<Map<string, Asset>> {
  const build = await import('@graphql-yoga/render-graphiql/graphiql');
  const files: [name: string, contentType: string, content: string][] = [
    ['graphiql.js', JAVASCRIPT, build.js],
    ['graphiql.css', 'text/css; charset=utf-8', build.css],
    ['worker-editorWorkerService.js', JAVASCRIPT, build.editorWorkerService],
    ['worker-json.js', JAVASCRIPT, build.jsonWorker],
    ['worker-graphql.js', JAVASCRIPT, build.graphqlWorker],
    ['start.js', JAVASCRIPT, START_SCRIPT],
  ];
  const assets = new Map<string, Asset>();
  for (const [name, contentType, content] of files) {
    const zipped = await promisify(gzip)(content);
    const etag = `"${createHash('sha256').update(content).digest('base64url').slice(0, 22)}"`;
    assets.set(name, { contentType, etag, zipped });
  }
  return assets;
}

/** Nothing inline but data, so that a strict Content-Security-Policy can be set on the page. */
function renderPage(title: string, options: object): string {
  const json = JSON.stringify(options).replaceAll('<', '\\u003c');
  return `<!doctype html>
<html lang="en">
  <head>
    <meta charset="utf-8" />
    <meta name="viewport" content="width=device-width, initial-scale=1" />
    <title>${title}</title>
    <link rel="icon" href="data:," />
    <link rel="stylesheet" href="${GRAPHIQL_ASSETS_PATH}graphiql.css" />
  </head>
  <body class="no-focus-outline">
    <noscript>GraphiQL needs JavaScript.</noscript>
    <div id="root"></div>
    <script id="options" type="application/json">${json}</script>
    <script src="${GRAPHIQL_ASSETS_PATH}graphiql.js"></script>
    <script src="${GRAPHIQL_ASSETS_PATH}start.js"></script>
  </body>
</html>
`;
}

/** Runs in the browser: tells the editor where its workers are, and starts it. */
const START_SCRIPT = `'use strict';
self.MonacoEnvironment = {
  globalAPI: false,
  getWorkerUrl: (_module, label) => '${GRAPHIQL_ASSETS_PATH}worker-' + label + '.js',
};
YogaGraphiQL.renderYogaGraphiQL(
  document.getElementById('root'),
  JSON.parse(document.getElementById('options').textContent),
);
`;
