/** One thing that the gateway needs before it can serve. */
export interface ReadinessCheck {
  /** Undefined when it is there, else what is missing, in a few words. */
  missing(): string | undefined;
}

/** By name; see {@link readinessOf}. */
export type ReadinessChecks = Readonly<Record<string, ReadinessCheck>>;

/** What `/readyz` answers: `notReady` names each check that does not hold, with what it lacks. */
export interface Readiness {
  status: 'ready' | 'not ready';
  notReady: Record<string, string>;
}

export function readinessOf(checks: ReadinessChecks): Readiness {
  const notReady: Record<string, string> = {};
  for (const [name, check] of Object.entries(checks)) {
    const missing = check.missing();
    if (missing !== undefined) notReady[name] = missing;
  }
  return { status: Object.keys(notReady).length === 0 ? 'ready' : 'not ready', notReady };
}
