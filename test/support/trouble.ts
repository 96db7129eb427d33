/** Loaded into a program of the project: makes the trouble that the test which runs it asks for. */

import { execFileSync } from 'node:child_process';
import { mkdtempSync, openSync, read, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const error = new Error('made by the test');

/** How long the event loop is blocked, in milliseconds. */
const BLOCKED_MS = 1_100;

const TROUBLES = {
  /** A thread that never comes back, as from a file system that is gone: it reads what nobody writes. */
  'hanging file': () => {
    const folder = mkdtempSync(join(tmpdir(), 'hanging-'));
    execFileSync('mkfifo', [join(folder, 'pipe')]);
    const pipe = openSync(join(folder, 'pipe'), 'r+');
    rmSync(folder, { recursive: true });
    read(pipe, () => {});
    process.stdout.write('a file hangs\n');
  },
  'uncaught exception': () => {
    setImmediate(() => {
      throw error;
    });
  },
  'unhandled rejection': () => {
    void Promise.reject(error);
  },
  'unhandled rejections without end': () => {
    setInterval(() => {
      for (let count = 0; count < 20; count += 1) void Promise.reject(error);
    }, 1);
  },
  'blocked event loop': () => {
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, BLOCKED_MS);
  },
};
export type Trouble = keyof typeof TROUBLES;

process.on('message', (trouble) => {
  for (const [name, make] of Object.entries(TROUBLES)) if (name === trouble) make();
});
// It does not keep the program alive, nor does the program live longer than what runs it.
process.channel?.unref();
process.on('disconnect', () => process.exit(1));
