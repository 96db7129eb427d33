#!/usr/bin/env node

// JavaScript, so that this file needs no compiler, and an older Node can read it. Node 23 runs TypeScript from 23.6 on.
const [major = 0, minor = 0] = process.versions.node.split('.').map(Number);
if (major < 22 || (major === 22 && minor < 19) || (major === 23 && minor < 6)) {
  process.stderr.write(
    `participant-gateway needs Node.js 22.19 or newer; this is ${process.versions.node}.\n`,
  );
  process.exit(1);
}
// Before any TypeScript: each start would load Node's compiler for src/main.ts.
const { enablePrivateCompileCache } = await import('./compile-cache.js');
enablePrivateCompileCache();
await import('../src/main.ts');
