#!/usr/bin/env node
// JavaScript, so that this file needs no compiler, and an older Node can read it. Node 23 runs TypeScript from 23.6 on.
const [major = 0, minor = 0] = process.versions.node.split('.').map(Number);
if (major < 22 || (major === 22 && minor < 19) || (major === 23 && minor < 6)) {
  process.stderr.write(
    `participant-gateway needs Node.js 22.19 or newer; this is ${process.versions.node}.\n`,
  );
  process.exit(1);
}
// Before anything else is loaded: what is compiled is kept for the next start.
const { enablePrivateCompileCache } = await import('./compile-cache.js');
enablePrivateCompileCache();
// The package has no sources, and what was built in a checkout may be of yesterday.
const { existsSync } = await import('node:fs');
const sources = new URL('../src/main.ts', import.meta.url);
await import(existsSync(sources) ? sources.href : '../dist/main.js');
