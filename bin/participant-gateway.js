#!/usr/bin/env node
import { enableCompileCache } from 'node:module';

// JavaScript, so that this file needs no compiler, and before any TypeScript: what is compiled is kept for
// the next start. Without it each start loads Node's TypeScript compiler for src/main.ts alone.
enableCompileCache();
await import('../src/main.ts');
