import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    setupFiles: ['test/support/no-outside-calls.ts'],
    environment: 'node',
    testTimeout: 15_000,
  },
});
