import { FieldError } from './errors.ts';

/** Which batch: of one participant type, by its id, or the one that the upstream picks. */
export interface BatchKey {
  readonly participantType: string;
  readonly batchId: string | null;
}

/** A batch as a text, equal for two that are named alike. */
export function batchToText({ participantType, batchId }: BatchKey): string {
  return JSON.stringify([participantType, batchId]);
}

/** The reverse; undefined where it is no such text. */
export function batchOfText(text: string): BatchKey | undefined {
  if (text === '') return undefined;
  const [participantType, batchId]: unknown[] = JSON.parse(text);
  return typeof participantType === 'string'
    ? { participantType, batchId: typeof batchId === 'string' ? batchId : null }
    : undefined;
}

const MAX_PARTICIPANT_TYPE_LENGTH = 128;
const MAX_BATCH_ID_LENGTH = 256;

/**
 * A key that is safe to put into a URL as one path segment and one query parameter. `servedTypes` is an allow-list,
 * empty for any type; `visibleTypes` are those that the caller may see, undefined for any. Throws a
 * {@link FieldError}: FORBIDDEN for a type that the caller may not see, served or not, else BAD_USER_INPUT.
 */
export function parseBatchKey(
  participantType: string,
  batchId: string | null,
  servedTypes: ReadonlySet<string>,
  visibleTypes?: ReadonlySet<string>,
): BatchKey {
  const wellFormedType =
    isPrintable(participantType, MAX_PARTICIPANT_TYPE_LENGTH) &&
    !/[/\\]/.test(participantType) &&
    participantType !== '.' &&
    participantType !== '..';
  if (!wellFormedType) {
    throw new FieldError(
      'BAD_USER_INPUT',
      `participantType accepts 1 to ${MAX_PARTICIPANT_TYPE_LENGTH} characters, no control characters, "/" or "\\", and not "." or ".." alone: the plural name of a participant type, such as "vehicles".`,
    );
  }
  if (visibleTypes !== undefined && !visibleTypes.has(participantType)) {
    throw new FieldError('FORBIDDEN', 'You may not see batches of this participant type.');
  }
  if (servedTypes.size > 0 && !servedTypes.has(participantType)) {
    const shown = [...servedTypes].filter((type) => visibleTypes?.has(type) ?? true);
    throw new FieldError(
      'BAD_USER_INPUT',
      shown.length === 0
        ? 'The gateway serves none of the participant types that you may see.'
        : `participantType accepts one of: ${shown.join(', ')}.`,
    );
  }
  if (batchId !== null && !isPrintable(batchId, MAX_BATCH_ID_LENGTH)) {
    throw new FieldError(
      'BAD_USER_INPUT',
      `batchId accepts 1 to ${MAX_BATCH_ID_LENGTH} characters and no control characters. Leave it out for the batch that the upstream picks.`,
    );
  }
  return { participantType, batchId };
}

/** The entity id of a key: "vehicles" or "vehicles/b-1", each part percent-encoded. */
export function toEntityId({ participantType, batchId }: BatchKey): string {
  const type = encodeURIComponent(participantType);
  return batchId === null ? type : `${type}/${encodeURIComponent(batchId)}`;
}

/** The reverse of {@link toEntityId}. Throws as {@link parseBatchKey} does. */
export function parseEntityId(
  id: string,
  servedTypes: ReadonlySet<string>,
  visibleTypes?: ReadonlySet<string>,
): BatchKey {
  const parts = id.split('/', 3).map(decodePart);
  const [participantType, batchId = null] = parts;
  if (participantType === undefined || parts.includes(undefined) || parts.length > 2) {
    throw new FieldError(
      'BAD_USER_INPUT',
      'The id of a BatchStatus is its participant type, or its participant type and batch id joined by "/", each percent-encoded.',
    );
  }
  return parseBatchKey(participantType, batchId, servedTypes, visibleTypes);
}

function decodePart(part: string): string | undefined {
  try {
    return decodeURIComponent(part);
  } catch {
    return undefined;
  }
}

/** Characters are counted as a person would: a surrogate pair is one, and half a pair is none. */
function isPrintable(text: string, maxLength: number): boolean {
  if (text.length <= maxLength && /^[\w.:-]+$/.test(text)) return true;
  return (
    text.length > 0 &&
    text.length <= 2 * maxLength &&
    [...text].length <= maxLength &&
    text.isWellFormed() &&
    !/\p{Cc}/u.test(text)
  );
}
