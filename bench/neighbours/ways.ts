import type { Batch } from '../faults/arrivals.ts';

/** A way in which the neighbour of a healthy participant type hurts. */
export interface Way {
  /** What it does, for people. */
  title: string;
  load: BadLoad;
  /** Whether the bad load is another tenant's: then the gateway serves both, and the bad one asks for vehicles, too. */
  isTenant?: true;
  /** How long the bad load is there before the good one is measured beside it, in milliseconds. */
  leadInMs: number;
}

type BadLoad =
  /** Requests at a constant rate, however long the answers take. */
  | { kind: 'arrivals'; toBatch(sequence: number, id: string): Batch; perSecond: number }
  /** One caller keeps requests for many slow batches each under way. */
  | { kind: 'batches' }
  /** Clients ask for large answers, and do not read them. */
  | { kind: 'stalled' };

/** Requests in a second of a bad load that is at a constant rate. */
const BAD_PER_SECOND = 200;
/** The same of one that is a flood: what a tenant with many users can come to. */
const FLOOD_PER_SECOND = 800;

/** Requests that one caller keeps under way, and the batches that each is for. */
export const BATCHES = { requests: 64, batches: 20 };

/**
 * Clients that do not read, the requests that each sends as it comes, for more than the kernel takes in their place,
 * and the time over which they come: they are not there to be a flood.
 */
export const STALLED = { clients: 300, requests: 10, spreadMs: 20_000 };

const LEAD_IN_MS = 1_500;

/** By name. What the upstream makes of them is in upstream-server.ts. */
export const WAYS: ReadonlyMap<string, Way> = new Map([
  ['500', drivers('each call for drivers is answered 500')],
  ['hang', drivers('calls for drivers are never answered')],
  ['trickle', drivers('answers for drivers come a byte at a time, one in 100 ms')],
  ['reset', drivers('the connection of each call for drivers is reset')],
  [
    'proto',
    arrivals('answers for drivers have a member __proto__ in their data', (sequence, id) => ({
      participantType: 'drivers',
      batchId: sequence % 2 === 0 ? 'the-same' : id,
    })),
  ],
  [
    'echo',
    arrivals('batches of vehicles whose id looks like a parameter in the echo', (_, id) => ({
      participantType: 'vehicles',
      batchId: `&batchid=x-${id}`,
    })),
  ],
  [
    '404',
    arrivals('types, and batches of vehicles, that there are none of', (sequence, id) =>
      sequence % 2 === 0
        ? { participantType: `no-such-type-${id}`, batchId: id }
        : { participantType: 'vehicles', batchId: `no-such-${id}` },
    ),
  ],
  ['huge', drivers('answers for drivers have 3 MiB')],
  [
    'batches',
    {
      title: `one caller keeps ${BATCHES.requests} requests for ${BATCHES.batches} batches each under way, of operators, which take 300 ms`,
      load: { kind: 'batches' },
      leadInMs: 3_000,
    },
  ],
  [
    'stalled',
    {
      title: `${STALLED.clients} clients ask ${STALLED.requests} times for answers of 500 KB, and do not read`,
      load: { kind: 'stalled' },
      leadInMs: STALLED.spreadMs,
    },
  ],
  ['tenant-500', tenant('each call of another tenant is answered 500')],
  ['tenant-hang', tenant('calls of another tenant are never answered')],
  ['tenant-flood', tenant('another tenant asks for many batches', FLOOD_PER_SECOND)],
]);

function drivers(title: string): Way {
  return arrivals(title, (_, id) => ({ participantType: 'drivers', batchId: id }));
}

function tenant(title: string, perSecond?: number): Way {
  const toBatch = (_: number, id: string) => ({ participantType: 'vehicles', batchId: id });
  return { ...arrivals(title, toBatch, perSecond), isTenant: true };
}

function arrivals(
  title: string,
  toBatch: (sequence: number, id: string) => Batch,
  perSecond = BAD_PER_SECOND,
): Way {
  return {
    title: `${title}; ${perSecond} requests/s`,
    load: { kind: 'arrivals', toBatch, perSecond },
    leadInMs: LEAD_IN_MS,
  };
}

/** The gateway believes this process, and reads a caller's address in a header. */
export const CALLERS_ENV = { TRUSTED_PROXIES: '127.0.0.1' };

/** The header of a caller with this address. */
export function fromAddress(address: string): Record<string, string> {
  return { 'x-forwarded-for': address };
}

/** A GraphQL request as it goes over a socket. */
export function toRequestText(port: number, headers: object, body: string): string {
  const all = {
    host: `127.0.0.1:${port}`,
    accept: 'application/json',
    'content-type': 'application/json',
    'content-length': String(body.length),
    ...headers,
  };
  const lines = Object.entries(all).map(([name, value]) => `${name}: ${value}\r\n`);
  return `POST /graphql HTTP/1.1\r\n${lines.join('')}\r\n${body}`;
}

/** Where there is one tenant, nobody reads which it is. */
export const TENANT_HEADER = 'x-tenant';
/** Two tenants, and so the ids by which they are known to the upstream. */
export const GOOD_TENANT = 'good';
export const BAD_TENANT = 'bad';

export const GOOD_CALLER = { ...fromAddress('192.0.2.1'), [TENANT_HEADER]: GOOD_TENANT };
export const BAD_CALLER = { ...fromAddress('198.51.100.1'), [TENANT_HEADER]: BAD_TENANT };

/** For `os.setPriority`: the good clients on the same core must not wait for the bad ones. */
export const BAD_NICENESS = 10;
