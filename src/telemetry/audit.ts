import type { DestinationStream } from 'pino';
import type { Audit, AuditRecord } from '../core/audit.ts';
import { isoTime } from './log.ts';
import type { LogOutput } from './log-output.ts';

/** Of the settings: see AUDIT. */
export type AuditMode = 'off' | 'on' | 'required';

interface AuditLogOptions {
  mode: AuditMode;
  /** Where the lines of the log go. */
  destination: DestinationStream;
  /** What is behind it; undefined: nothing is known of that, and each line is taken to be written. */
  output: Pick<LogOutput, 'takes'> | undefined;
}

/**
 * Writes who read what into the log, whatever its level, a line for each answer; undefined where that is off. Where it
 * is required, nothing is recorded that may be lost: the output has trouble, or no room.
 */
export function createAuditLog({ mode, destination, output }: AuditLogOptions): Audit | undefined {
  if (mode === 'off') return undefined;
  return {
    record(record) {
      const line = auditLine(record);
      if (mode === 'required' && output?.takes(line) === false) return false;
      destination.write(line);
      return true;
    },
  };
}

function auditLine(record: AuditRecord): string {
  const { requestId, tenant, subject, address, operationName, batches } = record;
  const fields = {
    level: 'info',
    time: isoTime(),
    requestId,
    tenant,
    sub: subject,
    address,
    operationName,
    batches: batches.map(({ participantType, batchId }) => ({ participantType, batchId })),
    msg: 'audit',
  };
  return `${JSON.stringify(fields)}\n`;
}

/** What `/readyz` says of the log. Without an audit, a lost line takes no instance out of service. */
export function logReadiness(
  mode: AuditMode,
  output: Pick<LogOutput, 'problem' | 'isLosing'>,
): { missing(): string | undefined; degraded(): string | undefined } {
  const isMissing = () => mode === 'required' || (mode === 'on' && output.isLosing);
  return {
    missing: () => (isMissing() ? output.problem() : undefined),
    degraded: () => (isMissing() ? undefined : output.problem()),
  };
}
