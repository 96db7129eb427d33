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
   * there is time to ask elsewhere. One address cannot have the last quarter, and one of several tenants neither.
   */
  enter(address: string): HeldRequest;
}

/** A request that was admitted. */
export interface HeldRequest {
  /**
   * Counts it for a tenant, too, whose share is bounded as that of an address is. Throws a {@link RefusedRequest} (503).
   */
  countFor(tenant: string): void;
  /** Counts bytes of its body. Throws a {@link RefusedRequest} (503) when all together are too many. */
  addBytes(length: number): void;
  /** To be called once, when its answer is out, or its client gone. */
  leave(): void;
}

/** When somebody who was refused may try again: most requests take less. */
const RETRY_AFTER_MS = 1_000;

/** Of what there is, the part that one address or tenant cannot have alone, once it has a quarter. */
const FOR_OTHERS = 1 / 4;
const SHARE = 1 / 4;

/** What all hold, or those of one address or tenant. */
interface Holding {
  requests: number;
  bytes: number;
}

export function createIntake(options: IntakeOptions): Intake {
  return new BoundedIntake(options);
}

class BoundedIntake implements Intake {
  readonly all: Holding = { requests: 0, bytes: 0 };
  readonly byAddress = new Map<string, Holding>();
  readonly byTenant = new Map<string, Holding>();
  readonly #limits: Holding;

  constructor({ maxRequests, maxBytes }: IntakeOptions) {
    this.#limits = { requests: maxRequests, bytes: maxBytes };
  }

  get requests(): number {
    return this.all.requests;
  }

  get bytes(): number {
    return this.all.bytes;
  }

  get isFull(): boolean {
    const greedy = Number.POSITIVE_INFINITY;
    const { requests, bytes } = this.all;
    return (
      requests >= this.#limitFor('requests', greedy) || bytes >= this.#limitFor('bytes', greedy)
    );
  }

  enter(address: string): HeldRequest {
    const known = this.byAddress.get(address);
    const ofAddress = known ?? { requests: 0, bytes: 0 };
    this.check(ofAddress, 'requests', 1, this.all.requests + 1);
    this.all.requests += 1;
    ofAddress.requests += 1;
    if (known === undefined) this.byAddress.set(address, ofAddress);
    return new Held(this, address, ofAddress);
  }

  /** Throws where an address or a tenant, with so much more, has too large a part of a total. */
  check(of: Holding, what: keyof Holding, amount: number, total: number): void {
    if (total > this.#limitFor(what, of[what] + amount)) throw overloaded();
  }

  /** How much there may be of something, of which one has so much. */
  #limitFor(what: keyof Holding, own: number): number {
    const limit = this.#limits[what];
    return own > SHARE * limit ? Math.ceil((1 - FOR_OTHERS) * limit) : limit;
  }
}

class Held implements HeldRequest {
  readonly #intake: BoundedIntake;
  readonly #address: string;
  readonly #ofAddress: Holding;
  #tenant = '';
  #ofTenant: Holding | undefined;
  #bytes = 0;

  constructor(intake: BoundedIntake, address: string, ofAddress: Holding) {
    this.#intake = intake;
    this.#address = address;
    this.#ofAddress = ofAddress;
  }

  countFor(tenant: string): void {
    const { all, byTenant } = this.#intake;
    const of = byTenant.get(tenant) ?? { requests: 0, bytes: 0 };
    this.#intake.check(of, 'requests', 1, all.requests);
    of.requests += 1;
    byTenant.set(tenant, of);
    this.#tenant = tenant;
    this.#ofTenant = of;
  }

  addBytes(length: number): void {
    const total = this.#intake.all.bytes + length;
    this.#intake.check(this.#ofAddress, 'bytes', length, total);
    if (this.#ofTenant !== undefined) this.#intake.check(this.#ofTenant, 'bytes', length, total);
    this.#add(length);
    this.#bytes += length;
  }

  leave(): void {
    const { all, byAddress, byTenant } = this.#intake;
    this.#add(-this.#bytes);
    all.requests -= 1;
    this.#ofAddress.requests -= 1;
    if (this.#ofAddress.requests === 0) byAddress.delete(this.#address);
    if (this.#ofTenant === undefined) return;
    this.#ofTenant.requests -= 1;
    if (this.#ofTenant.requests === 0) byTenant.delete(this.#tenant);
  }

  #add(bytes: number): void {
    this.#intake.all.bytes += bytes;
    this.#ofAddress.bytes += bytes;
    if (this.#ofTenant !== undefined) this.#ofTenant.bytes += bytes;
  }
}

function overloaded(): RefusedRequest {
  return new RefusedRequest('OVERLOADED', 503, 'The gateway has more to do than it can.', {
    retryAfterMs: RETRY_AFTER_MS,
  });
}
