/** Time as the gateway sees it: given to whatever waits or expires, so that a test can give its own. */
export interface Clock {
  /** Milliseconds since some fixed moment. Monotonic: a step of the wall clock does not move it. */
  now(): number;
  /** The wall clock, for what people and other machines read. */
  date(): Date;
  /** Runs `task` once, `ms` from now, unless the returned function is called before. Does not keep the process alive. */
  after(ms: number, task: () => void): () => void;
}

/** The machine's clock. */
export const systemClock: Clock = {
  now: () => performance.now(),
  date: () => new Date(),
  after(ms, task) {
    const timer = setTimeout(task, ms);
    timer.unref();
    return () => clearTimeout(timer);
  },
};
