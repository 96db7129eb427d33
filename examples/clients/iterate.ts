/** Where a subscription puts what it gets. */
export interface IterationSink<Value> {
  next(value: Value): void;
  /** Nothing comes any more; with an error, because of it. */
  end(error?: unknown): void;
}

/**
 * Makes an iteration of what is pushed. It ends, or throws, as its sink is told to, and ends when `signal` aborts.
 * `start` returns how to stop.
 */
export async function* iterate<Value>(
  start: (sink: IterationSink<Value>) => () => void,
  signal: AbortSignal,
): AsyncGenerator<Value, void> {
  const waiting: Value[] = [];
  let isOver = signal.aborted;
  let failure: unknown;
  let wake = () => {};
  const end = (error?: unknown) => {
    isOver = true;
    failure = error;
    wake();
  };
  const leave = () => end();
  signal.addEventListener('abort', leave);
  const stop = start({
    next(value) {
      waiting.push(value);
      wake();
    },
    end,
  });
  try {
    for (;;) {
      for (const value of waiting.splice(0)) yield value;
      // More may have come while those were being taken.
      if (waiting.length > 0) continue;
      if (isOver) break;
      await new Promise<void>((resolve) => {
        wake = resolve;
      });
    }
    if (failure !== undefined) throw failure;
  } finally {
    signal.removeEventListener('abort', leave);
    stop();
  }
}
