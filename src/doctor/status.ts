import type { BatchKey } from '../core/batch-key.ts';
import { neverAborted } from '../lib/cancellation.ts';
import { type BatchStatus, toBatchStatus } from '../status/status.ts';
import type { AccessToken } from '../tokens/token-cache.ts';
import type { UpstreamError, UpstreamReport } from '../upstream/errors.ts';
import type { StatusCall } from '../upstream/request.ts';
import type { Finding } from './report.ts';

/** A batch to ask for. `chosen`: somebody named it, so it should be there. */
export interface BatchToAsk {
  key: BatchKey;
  chosen: boolean;
}

/** Makes one status call, and judges its answer against what the documents say. */
export async function examineStatus(
  { key, chosen }: BatchToAsk,
  call: StatusCall,
  token: AccessToken,
  finishedStatuses: ReadonlySet<string>,
): Promise<Finding> {
  const outcome = await call(key, token, undefined, neverAborted);
  return outcome.kind === 'ok'
    ? judgeStatus(toBatchStatus({ key, ...outcome.answer, finishedStatuses }))
    : judgeError(outcome.error, chosen);
}

function judgeStatus(status: BatchStatus): Finding {
  const { finished, totalCount, successCount, failureCount, progress, key } = status;
  const facts = {
    participantType: key.participantType,
    batchId: key.batchId,
    status: status.status,
    finished,
    totalCount,
    successCount,
    failureCount,
    progress,
    failuresListed: status.failures?.length ?? null,
    successesListed: status.successes?.length ?? null,
    echo: status.request.uri !== null,
  };
  if (finished === null) {
    return {
      verdict: 'warning',
      message:
        'the documented envelope, but its data has no status, and no counts that tell of an end',
      advice:
        'Clients find finished null and would poll for ever; data has everything. Ask the platform for the payload of this batch.',
      facts,
    };
  }
  const words = status.status === null ? 'no status' : JSON.stringify(status.status);
  const progressText = progress === null ? '' : `, ${Math.round(100 * progress)} % done`;
  return {
    verdict: 'ok',
    message: `the documented envelope: ${words}, ${finished ? 'finished' : 'not finished'}${progressText}`,
    facts,
  };
}

function judgeError(error: UpstreamError, chosen: boolean): Finding {
  const { message, upstream, requestId = null, retryAfterMs = null } = error;
  const said = upstream === undefined ? '' : ` (${upstream.status}${codeOf(upstream)})`;
  const failure: Finding = {
    verdict: 'failed',
    message: `${message}${said}`,
    advice: adviceFor(error),
    facts: {
      kind: error.kind,
      httpStatus: upstream?.status ?? null,
      code: upstream?.code ?? null,
      requestId,
      retryAfterMs,
    },
  };
  // Where nobody named a batch, its refusal shows as well that the service answers as documented.
  const asDocumented = upstream !== undefined && upstream.description !== null;
  const aboutBatch = error.kind === 'not-found' || error.kind === 'invalid-request';
  if (!chosen && asDocumented && aboutBatch) {
    return {
      ...failure,
      verdict: 'warning',
      advice:
        'The service answers as documented, only there is no such batch: name one by --type and --batch.',
    };
  }
  return failure;
}

function codeOf({ code }: UpstreamReport): string {
  return code === null ? '' : `, ${code}`;
}

function adviceFor({ kind, upstream, requestId }: UpstreamError): string {
  const quote = `Quote the request id ${requestId} to the platform's support.`;
  const isEnvelope = upstream !== undefined && upstream.description !== null;
  switch (kind) {
    case 'unauthenticated':
      return 'The token was issued, but is not accepted here: check PARTICIPANT_SERVICE_TENANT_ID, TOKEN_AUDIENCE and TOKEN_HEADER.';
    case 'forbidden':
      return `The client may not read this: have it allowed to, on the tenant. ${quote}`;
    case 'not-found':
    case 'invalid-request':
      return isEnvelope
        ? 'Check the participant type and the batch id.'
        : 'That is no answer of a Participant Service: check PARTICIPANT_SERVICE_URL, and what stands between here and there.';
    case 'rate-limited':
      return 'The tenant is asked too much: see who else asks, or raise STATUS_TTL_MS.';
    case 'timeout':
      return `It may be slow only: compare with UPSTREAM_TIMEOUT_MS. ${quote}`;
    case 'bad-response':
      return 'Check PARTICIPANT_SERVICE_URL, and what stands between here and there; for large batches UPSTREAM_MAX_BODY_BYTES.';
    default:
      return quote;
  }
}
