/** A trace as one of its parts tells the next of it: `traceparent` of W3C Trace Context. */
export interface TraceContext {
  /** 32 hexadecimal digits. */
  readonly traceId: string;
  /** 16 hexadecimal digits, of the part that tells. */
  readonly spanId: string;
  /** Whether that part is recorded. */
  readonly isSampled: boolean;
}

type Headers = Readonly<Record<string, string | string[] | undefined>>;

/** Version, trace id, parent id and flags; a later version may have more (W3C Trace Context, section 3.2). */
const TRACEPARENT =
  /^(?!ff)([\da-f]{2})-(?!0{32})([\da-f]{32})-(?!0{16})([\da-f]{16})-([\da-f]{2})(-.*)?$/;

/** What a caller says of the trace that its request is a part of; undefined: nothing, or something malformed. */
export function readTraceContext({ traceparent }: Headers): TraceContext | undefined {
  if (typeof traceparent !== 'string') return undefined;
  const [, version, traceId, spanId, flags, more] = TRACEPARENT.exec(traceparent) ?? [];
  if (traceId === undefined || spanId === undefined || (version === '00' && more !== undefined)) {
    return undefined;
  }
  // Of the flags only the first is known.
  return { traceId, spanId, isSampled: (Number.parseInt(flags ?? '', 16) & 1) === 1 };
}

/** A longer one is left out, as section 3.3.1.5 allows. */
const MAX_STATE_LENGTH = 512;
const MAX_STATE_MEMBERS = 32;
const STATE_MEMBER =
  /^(?<key>[a-z\d][a-z\d_\-*/@]{0,255})=[\x20-\x2b\x2d-\x3c\x3e-\x7e]{0,255}[\x21-\x2b\x2d-\x3c\x3e-\x7e]$/;

/** What systems on the way have added to that by `tracestate`, without what is malformed; empty: nothing. */
export function readTraceState({ tracestate }: Headers): string {
  if (typeof tracestate !== 'string' || tracestate.length > MAX_STATE_LENGTH) return '';
  const members = new Map<string, string>();
  for (const text of tracestate.split(',')) {
    const member = text.trim();
    const key = STATE_MEMBER.exec(member)?.groups?.['key'];
    // Of two with one key the first is newer.
    if (key !== undefined && !members.has(key)) members.set(key, member);
  }
  return [...members.values()].slice(0, MAX_STATE_MEMBERS).join(',');
}

/** Both for a call that is made, names and values in turn. No `state`, or an empty one, is left out. */
export function toTraceHeaders(context: TraceContext, state?: string): readonly string[] {
  const { traceId, spanId, isSampled } = context;
  return [
    ...['traceparent', `00-${traceId}-${spanId}-${isSampled ? '01' : '00'}`],
    ...(state ? ['tracestate', state] : []),
  ];
}

/** So many values have eight digits. */
const VALUES = 2 ** 32;
/** What ids are made in: several times faster than to write out numbers. */
const ID = Buffer.alloc(16);

/**
 * A new trace id. Of its 32 digits those from the 17th to the 24th are `rank`, from 0 to 1 (exclusive) as a share of
 * all that they can be; the others are random.
 */
export function createTraceId(rank: number): string {
  randomize(0);
  randomize(4);
  ID.writeUInt32BE(Math.floor(rank * VALUES), 8);
  randomize(12);
  return ID.toString('hex');
}

/** By it samplers judge: those of OpenTelemetry for Go and Rust record the same ids. */
export function rankOf({ traceId }: Pick<TraceContext, 'traceId'>): number {
  return Number.parseInt(traceId.slice(16, 24), 16) / VALUES;
}

export function createSpanId(): string {
  randomize(0);
  randomize(4);
  return ID.toString('hex', 0, 8);
}

function randomize(offset: number): void {
  ID.writeUInt32BE(Math.floor(Math.random() * VALUES), offset);
}
