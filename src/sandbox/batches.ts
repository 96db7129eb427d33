import type { Clock } from '../lib/clock.ts';

/** The participant types that the sandbox knows. */
export const PARTICIPANT_TYPES: ReadonlySet<string> = new Set(['vehicles', 'drivers', 'operators']);

/** What a status call asks for when it names no batch. */
export const DEFAULT_BATCH_ID = 'batch-running';

const RUNNING_TOTAL = 1_200;
const RUNNING_DURATION_MS = 60_000;

/** The `data` of a batch's status; undefined for a batch that does not exist. */
type BatchBook = (participantType: string, batchId: string) => object | undefined;

/** `batch-running` begins when it is first looked at, for each participant type on its own. */
export function createBatchBook(clock: Clock): BatchBook {
  const begunAt = new Map<string, number>();

  function running(participantType: string): object {
    const start = begunAt.get(participantType) ?? clock.now();
    begunAt.set(participantType, start);
    const done = Math.min(1, (clock.now() - start) / RUNNING_DURATION_MS);
    return {
      meta: {
        status: done < 1 ? 'IN_PROGRESS' : 'SUCCESS',
        success: Math.floor(done * RUNNING_TOTAL),
        failed: 0,
        total: RUNNING_TOTAL,
      },
      errors: [],
      success: [],
    };
  }

  return (participantType, batchId) => {
    switch (batchId) {
      case 'batch-running':
        return running(participantType);
      case 'batch-finished':
        return corePayload('SUCCESS', successes(3), []);
      case 'batch-partial':
        return corePayload('PARTIAL_SUCCESS', successes(7), failures(3));
      case 'batch-failed':
        return corePayload('FAILED', [], failures(2));
      case 'batch-large':
        return corePayload('PARTIAL_SUCCESS', [], failures(10_000));
      case 'batch-orders':
        return ORDERS_PAYLOAD;
      default:
        return undefined;
    }
  };
}

/** The payload of participants. */
function corePayload(status: string, success: object[], errors: object[]): object {
  const meta = {
    status,
    success: success.length,
    failed: errors.length,
    total: success.length + errors.length,
  };
  return { meta, errors, success };
}

/** The other payload of the platform, of its order services. */
const ORDERS_PAYLOAD = {
  id: 'batch-orders',
  status: 'PARTIAL_SUCCESS',
  totalCount: 3,
  successCount: 2,
  failureCount: 1,
  successDetails: [{ id: 'o-1' }, { id: 'o-2' }],
  failureDetails: [
    {
      id: 'o-3',
      errors: [{ message: 'vin missing', label: 'vin', code: '101100310042', meta: {} }],
    },
  ],
};

function successes(count: number): object[] {
  return Array.from({ length: count }, (_, index) => ({
    refID: `row-${index + 1}`,
    id: `p-${index + 1}`,
  }));
}

/** Short enough for 10,000 of them to stay below a mebibyte. */
function failures(count: number): object[] {
  return Array.from({ length: count }, (_, index) => ({
    refID: `row-${index + 1}`,
    reason: 'vin missing',
  }));
}
