/** What the gateway's log tells of its circuit and its calls: moments in milliseconds since 1970. */
export interface LoggedCalls {
  /** When the circuit opened; not again each time that it stayed open. */
  opened: number[];
  closed: number[];
  /** When the requests began for which the upstream was called, once for each call, in order. */
  calls: number[];
}

/** Reads a log of the level `info`, in JSON. */
export function parseLog(text: string): LoggedCalls {
  const logged: LoggedCalls = { opened: [], closed: [], calls: [] };
  for (const line of text.trimEnd().split('\n')) {
    const entry: { time: string; msg: string; upstreamCalls?: number; durationMs?: number } =
      JSON.parse(line);
    const at = Date.parse(entry.time);
    if (entry.msg.startsWith('circuit open')) logged.opened.push(at);
    if (entry.msg.startsWith('circuit closed')) logged.closed.push(at);
    const { upstreamCalls = 0, durationMs = 0 } = entry;
    for (let call = 0; call < upstreamCalls; call += 1) logged.calls.push(at - durationMs);
  }
  logged.calls.sort((a, b) => a - b);
  return logged;
}
