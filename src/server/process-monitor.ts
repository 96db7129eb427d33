import type { Telemetry } from '../core/telemetry.ts';
import type { Clock } from '../lib/clock.ts';
import type { ReadinessCheck } from './health.ts';

interface ProcessMonitorOptions {
  clock: Clock;
  telemetry: Telemetry;
  /** Opens a file and closes it again. Rejects with the system's error. */
  openFile: () => Promise<void>;
}

interface ProcessMonitor {
  /** To be called when the process has started, which blocks the event loop, too. */
  begin(): void;
  /** For `/readyz`. */
  checks: Record<'eventLoop' | 'fileDescriptors', ReadinessCheck>;
}

const INTERVAL_MS = 250;
/** So much later than it is due, and the loop was blocked for up to a second: then nobody is served. */
const BLOCKED_MS = 750;
/** A probe cannot see a loop that is blocked, only that it was: for so long. */
const REMEMBERED_MS = 5_000;

/**
 * Looks four times a second whether the event loop turns, and whether the process can open a file. Neither
 * shows otherwise: a loop that is blocked reports nothing, and where there is no descriptor left for a
 * connection, it is closed without a word. Logs that the loop was blocked, and when a lack of descriptors
 * begins and ends. Never ends the process: a flood that takes all descriptors would need no more than that.
 */
export function monitorProcess({
  clock,
  telemetry,
  openFile,
}: ProcessMonitorOptions): ProcessMonitor {
  let blockedMs = 0;
  let blockedUntil = Number.NEGATIVE_INFINITY;
  let fullSince: number | undefined;
  let looking = false;

  async function lookAtDescriptors(): Promise<void> {
    // Where files are slow to open, one look is enough.
    if (looking) return;
    looking = true;
    const full = await openFile().then(() => false, isOutOfDescriptors);
    looking = false;
    if (full && fullSince === undefined) {
      fullSince = clock.now();
      telemetry.fileDescriptorsExhausted?.();
    } else if (!full && fullSince !== undefined) {
      telemetry.fileDescriptorsBack?.({ lastedMs: Math.round(clock.now() - fullSince) });
      fullSince = undefined;
    }
  }

  function begin(): void {
    const due = clock.now() + INTERVAL_MS;
    clock.after(INTERVAL_MS, () => {
      const now = clock.now();
      if (now - due >= BLOCKED_MS) {
        blockedMs = Math.round(now - due);
        blockedUntil = now + REMEMBERED_MS;
        telemetry.eventLoopBlocked?.({ blockedMs });
      }
      void lookAtDescriptors();
      begin();
    });
  }

  return {
    begin,
    checks: {
      eventLoop: {
        missing: () =>
          clock.now() < blockedUntil ? `was blocked for ${blockedMs} ms just now` : undefined,
      },
      fileDescriptors: {
        missing: () => (fullSince === undefined ? undefined : 'none is left for connections'),
      },
    },
  };
}

/** Of the process, or of the whole machine. */
function isOutOfDescriptors(error: unknown): boolean {
  return error instanceof Error && 'code' in error && /^E[MN]FILE$/.test(String(error.code));
}
