import { fileURLToPath } from 'node:url';
import { defineConfig } from 'vitest/config';
import { ClosingLines, LEFT_OUT } from './test/support/closing-lines.ts';

export default defineConfig({
  resolve: {
    // Vite would load graphql's ES modules for our code, and Node its CommonJS for our
    // dependencies: two copies, whose errors and types are foreign to each other. Node's it is.
    alias: [{ find: /^graphql$/, replacement: fileURLToPath(import.meta.resolve('graphql')) }],
  },
  test: {
    include: ['test/**/*.test.ts'],
    exclude: LEFT_OUT,
    reporters: ['default', new ClosingLines()],
    setupFiles: ['test/support/no-outside-calls.ts'],
    // Against what hangs: a machine may be as slow as it likes.
    testTimeout: 60_000,
    expect: { poll: { timeout: 10_000 } },
    // Files share the modules of their worker: to load them anew for each takes half as long again. So
    // no test leaves anything behind: what it changes, it changes back; spies are changed back for it.
    isolate: false,
    restoreMocks: true,
    // One less by default: half of them where there are two.
    maxWorkers: '100%',
    // It warns that keys and storage are made up, which in tests they are.
    onConsoleLog: (line) => (line.startsWith('oidc-provider WARNING') ? false : undefined),
  },
});
