import type { Clock } from '../lib/clock.ts';

interface RefusalLimitOptions {
  clock: Clock;
  /** Told at the end of a second for each address of which lines were left out. */
  leftOut(event: { address: string; lines: number }): void;
}

/** Lines about one address in a second. */
const MAX_LINES = 10;
/** Those beyond share the lines of one. */
const MAX_ADDRESSES = 100;
const OTHERS = 'others';

/** Bounds the lines about refused requests: whoever cannot get in must not be able to fill the log. */
export class RefusalLimit {
  readonly #options: RefusalLimitOptions;
  /** Lines of the second that runs. */
  #lines = new Map<string, number>();

  constructor(options: RefusalLimitOptions) {
    this.#options = options;
  }

  /** Whether a line about a request from an address may be written: ten a second, for 100 addresses. */
  admits(address: string): boolean {
    if (this.#lines.size === 0) this.#options.clock.after(1_000, () => this.#endSecond());
    const isKnown = this.#lines.has(address);
    const name = isKnown || this.#lines.size < MAX_ADDRESSES ? address : OTHERS;
    const lines = (this.#lines.get(name) ?? 0) + 1;
    this.#lines.set(name, lines);
    return lines <= MAX_LINES;
  }

  #endSecond(): void {
    const lines = this.#lines;
    this.#lines = new Map();
    for (const [address, count] of lines) {
      if (count > MAX_LINES) this.#options.leftOut({ address, lines: count - MAX_LINES });
    }
  }
}
