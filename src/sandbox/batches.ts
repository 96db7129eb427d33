import type { Clock } from '../clock.ts';

/** The participant types that the sandbox knows. */
export const PARTICIPANT_TYPES: ReadonlySet<string> = new Set(['vehicles', 'drivers', 'operators']);

/** What a status call asks for when it names no batch. */
export const DEFAULT_BATCH_ID = 'batch-running';

const RUNNING_TOTAL = 1_200;
const RUNNING_DURATION_MS = 60_000;

/** The `data` of a batch's status; undefined for a batch that does not exist. */
export type BatchBook = (participantType: string, batchId: string) => object | undefined;

/** `batch-running` begins when it is first looked at, for each participant type on its own. */
export function createBatchBook(clock: Clock): BatchBook {
  const begunAt = new Map<string, number>();

  function running(participantType: string): object {
    const start = begunAt.get(participantType) ?? clock.now();
    begunAt.set(participantType, start);
    const done = Math.min(1, (clock.now() - start) / RUNNING_DURATION_MS);
    return {
      id: 'batch-running',
      status: done < 1 ? 'IN_PROGRESS' : 'SUCCESS',
      totalCount: RUNNING_TOTAL,
      successCount: Math.floor(done * RUNNING_TOTAL),
      failureCount: 0,
      successDetails: [],
      failureDetails: [],
    };
  }

  return (participantType, batchId) => {
    switch (batchId) {
      case 'batch-running':
        return running(participantType);
      case 'batch-finished':
        return finishedBatch(batchId, 'SUCCESS', successes(3), []);
      case 'batch-partial':
        return finishedBatch(batchId, 'PARTIAL_SUCCESS', successes(7), failures(3));
      case 'batch-failed':
        return finishedBatch(batchId, 'FAILED', [], failures(2));
      case 'batch-large':
        return finishedBatch(batchId, 'PARTIAL_SUCCESS', [], failures(10_000));
      default:
        return undefined;
    }
  };
}

function finishedBatch(
  id: string,
  status: string,
  successDetails: object[],
  failureDetails: object[],
) {
  const successCount = successDetails.length;
  const failureCount = failureDetails.length;
  return {
    id,
    status,
    totalCount: successCount + failureCount,
    successCount,
    failureCount,
    successDetails,
    failureDetails,
  };
}

function successes(count: number): object[] {
  return Array.from({ length: count }, (_, index) => ({ id: `p-${index + 1}` }));
}

/** Short enough for 10,000 of them to stay below a mebibyte. */
function failures(count: number): object[] {
  return Array.from({ length: count }, (_, index) => ({
    id: `r-${index + 1}`,
    errors: [{ message: 'vin missing', label: 'vin', code: '101100310042', meta: {} }],
  }));
}
