import { createTraceState, type SpanContext } from '@opentelemetry/api';

/** Version, trace id, parent id and flags; a later version may have more (W3C Trace Context, section 3.2). */
const TRACEPARENT =
  /^(?!ff)([\da-f]{2})-(?!0{32})([\da-f]{32})-(?!0{16})([\da-f]{16})-([\da-f]{2})(-.*)?$/;
/** A longer one is left out, as section 3.3.1.5 allows. */
const MAX_TRACESTATE_LENGTH = 512;

/**
 * What a caller says of the trace that its request is a part of, by `traceparent` and `tracestate`; undefined where it
 * says nothing, or something malformed.
 */
export function readTraceContext({
  traceparent,
  tracestate,
}: Readonly<Record<string, string | string[] | undefined>>): SpanContext | undefined {
  if (typeof traceparent !== 'string') return undefined;
  const [, version, traceId, spanId, flags, more] = TRACEPARENT.exec(traceparent) ?? [];
  if (traceId === undefined || spanId === undefined || (version === '00' && more !== undefined)) {
    return undefined;
  }
  const hasState = typeof tracestate === 'string' && tracestate.length <= MAX_TRACESTATE_LENGTH;
  return {
    traceId,
    spanId,
    // Of the flags only the first is known.
    traceFlags: Number.parseInt(flags ?? '', 16) & 1,
    isRemote: true,
    ...(hasState && { traceState: createTraceState(tracestate) }),
  };
}

/** The same for a call that is made, names and values in turn. */
export function toTraceHeaders(context: SpanContext): readonly string[] {
  const { traceId, spanId, traceFlags } = context;
  const flags = traceFlags.toString(16).padStart(2, '0');
  const state = context.traceState?.serialize() ?? '';
  return [
    ...['traceparent', `00-${traceId}-${spanId}-${flags}`],
    ...(state === '' ? [] : ['tracestate', state]),
  ];
}
