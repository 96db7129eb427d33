/** One thing that the gateway needs. */
export interface ReadinessCheck {
  /** What is missing, in a few words, so that it cannot serve; undefined when it can. */
  missing?(): string | undefined;
  /** What is wrong with it, in a few words, although it serves; undefined when nothing is. */
  degraded?(): string | undefined;
}

/** By name; see {@link readinessOf}. */
export type ReadinessChecks = Readonly<Record<string, ReadinessCheck>>;

/**
 * What `/readyz` answers: `notReady` and `degraded` name what the gateway lacks, with what is the matter.
 * A gateway that is `degraded` is to be kept in service: another one would do no better.
 */
interface Readiness {
  status: 'ready' | 'degraded' | 'not ready';
  notReady: Record<string, string>;
  degraded: Record<string, string>;
}

export function readinessOf(checks: ReadinessChecks): Readiness {
  const notReady: Record<string, string> = {};
  const degraded: Record<string, string> = {};
  for (const [name, check] of Object.entries(checks)) {
    const missing = check.missing?.();
    if (missing !== undefined) notReady[name] = missing;
    const problem = check.degraded?.();
    if (problem !== undefined) degraded[name] = problem;
  }
  const isEmpty = (problems: object) => Object.keys(problems).length === 0;
  const status = !isEmpty(notReady) ? 'not ready' : !isEmpty(degraded) ? 'degraded' : 'ready';
  return { status, notReady, degraded };
}
