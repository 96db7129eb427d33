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
  /** Requests that are held. */
  readonly requests: number;
  /** Bytes of their bodies. */
  readonly bytes: number;
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

/** What one address holds. */
interface Holding {
  requests: number;
  bytes: number;
}

export function createIntake({ maxRequests, maxBytes }: IntakeOptions): Intake {
  const all: Holding = { requests: 0, bytes: 0 };
  const byAddress = new Map<string, Holding>();
  const limits: Holding = { requests: maxRequests, bytes: maxBytes };

  /** How much there may be of something, of which an address has so much. */
  function limitFor(what: keyof Holding, own: number): number {
    const limit = limits[what];
    return own > SHARE * limit ? Math.ceil((1 - FOR_OTHERS) * limit) : limit;
  }

  function take(of: Holding, what: keyof Holding, amount: number): void {
    const own = of[what] + amount;
    if (all[what] + amount > limitFor(what, own)) throw overloaded();
    all[what] += amount;
    of[what] = own;
  }

  function giveBack(address: string, of: Holding, bytes: number): void {
    all.requests -= 1;
    all.bytes -= bytes;
    of.requests -= 1;
    of.bytes -= bytes;
    if (of.requests === 0) byAddress.delete(address);
  }

  return {
    get requests() {
      return all.requests;
    },
    get bytes() {
      return all.bytes;
    },
    get isFull() {
      const greedy = Number.POSITIVE_INFINITY;
      return all.requests >= limitFor('requests', greedy) || all.bytes >= limitFor('bytes', greedy);
    },
    enter(address) {
      const known = byAddress.get(address);
      const of = known ?? { requests: 0, bytes: 0 };
      take(of, 'requests', 1);
      if (known === undefined) byAddress.set(address, of);
      let bytes = 0;
      return {
        addBytes(length) {
          take(of, 'bytes', length);
          bytes += length;
        },
        leave: () => giveBack(address, of, bytes),
      };
    },
  };
}

function overloaded(): RefusedRequest {
  return new RefusedRequest('OVERLOADED', 503, 'The gateway has more to do than it can.', {
    retryAfterMs: RETRY_AFTER_MS,
  });
}
