/** Loaded into a program of the project: makes the trouble that the test which runs it asks for. */

const error = new Error('made by the test');

/** How long the event loop is blocked, in milliseconds. */
const BLOCKED_MS = 1_100;

const TROUBLES = {
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
