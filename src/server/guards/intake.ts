import { RefusedRequest } from '../../core/errors.ts';

interface IntakeOptions {
  /** Requests held at a time. */
  maxRequests: number;
  /** Bytes of their bodies together. */
  maxBytes: number;
}

/** How many requests are held at a time, from before their bodies are read until their answers are out. */
export interface Intake {
  /** Whether so many are held that not every address is admitted. */
  readonly isFull: boolean;
  /**
   * Admits a request from an address. Throws a {@link RefusedRequest} (503) when there are too many: at once, while
   * there is time to ask elsewhere. One address cannot have the last quarter.
   */
  enter(address: string): HeldRequest;
}

/** A request that was admitted. */
export interface HeldRequest {
  /** Counts bytes of its body. Throws a {@link RefusedRequest} (503) when all together are too many. */
  addBytes(length: number): void;
  /** To be called once, when its answer is out, or its client gone. */
  leave(): void;
}

/** When somebody who was refused may try again: most requests take less. */
const RETRY_AFTER_MS = 1_000;

/** Of what there is, the part that one address cannot have alone, once it has a quarter. */
const FOR_OTHERS = 1 / 4;
const SHARE = 1 / 4;

/** What is held, in all and by address. */
class Holdings {
  readonly #limit: number;
  #held = 0;
  readonly #heldBy = new Map<string, number>();

  constructor(limit: number) {
    this.#limit = limit;
  }

  get isFull(): boolean {
    return this.#held >= Math.ceil((1 - FOR_OTHERS) * this.#limit);
  }

  take(address: string, amount: number): boolean {
    const own = (this.#heldBy.get(address) ?? 0) + amount;
    const isAboveShare = own > SHARE * this.#limit;
    const limit = isAboveShare ? Math.ceil((1 - FOR_OTHERS) * this.#limit) : this.#limit;
    if (this.#held + amount > limit) return false;
    this.#held += amount;
    this.#heldBy.set(address, own);
    return true;
  }

  giveBack(address: string, amount: number): void {
    this.#held -= amount;
    const own = (this.#heldBy.get(address) ?? 0) - amount;
    if (own > 0) this.#heldBy.set(address, own);
    else this.#heldBy.delete(address);
  }
}

export function createIntake({ maxRequests, maxBytes }: IntakeOptions): Intake {
  const requests = new Holdings(maxRequests);
  const bytes = new Holdings(maxBytes);
  return {
    get isFull() {
      return requests.isFull || bytes.isFull;
    },
    enter(address) {
      if (!requests.take(address, 1)) throw overloaded();
      let length = 0;
      return {
        addBytes(more) {
          if (!bytes.take(address, more)) throw overloaded();
          length += more;
        },
        leave() {
          requests.giveBack(address, 1);
          if (length > 0) bytes.giveBack(address, length);
        },
      };
    },
  };
}

function overloaded(): RefusedRequest {
  return new RefusedRequest('OVERLOADED', 503, 'The gateway has more to do than it can.', {
    retryAfterMs: RETRY_AFTER_MS,
  });
}
