import { type BatchKey, parseBatchKey, parseEntityId, toEntityId } from '../../core/batch-key.ts';
import { FieldError } from '../../core/errors.ts';
import { resolveJsonPointer } from '../../lib/json-pointer.ts';
import type { BatchStatus as BatchStatusShape } from '../../status/status.ts';
import type { GraphQLContext } from '../context.ts';
import { BatchRecordConnection, pageArguments, resolvePage } from './batch-records.ts';
import { builder } from './builder.ts';
import type { Entity } from './federation.ts';
import { UpstreamRequest } from './upstream-request.ts';

export const BatchStatus = builder.objectRef<BatchStatusShape>('BatchStatus').implement({
  description:
    'How far a batch is. Participants (vehicles, drivers, …) are created and updated in batches: the upload is accepted at once and worked on afterwards; this tells the state of that work. Only `data` is promised by the Participant Service; the fields read out of it are null when it does not send them.',
  fields: (t) => ({
    id: t.id({
      nullable: false,
      description:
        'What normalised caches key on: "vehicles", or "vehicles/b-1" with a batch id, each part percent-encoded.',
      resolve: (batch) => toEntityId(batch.key),
    }),
    participantType: t.string({
      nullable: false,
      description: 'The plural name of the participant type, as it was asked for.',
      resolve: (batch) => batch.key.participantType,
    }),
    batchId: t.id({
      description: 'The id of the batch request, as it was asked for; null when it was left out.',
      resolve: (batch) => batch.key.batchId,
    }),
    status: t.exposeString('status', {
      description:
        'The state in the Participant Service\'s own words, such as "IN_PROGRESS" or "PARTIAL_SUCCESS". To know whether to poll on, ask for `finished`.',
    }),
    finished: t.exposeBoolean('finished', {
      description:
        'True when nothing will happen any more: stop polling. By the status, or by counts that say that nothing is left; null when neither can tell.',
    }),
    totalCount: t.exposeInt('totalCount', { description: 'Participants in the batch.' }),
    successCount: t.exposeInt('successCount', {
      description: 'Participants that were created or updated so far.',
    }),
    failureCount: t.exposeInt('failureCount', {
      description: 'Participants that failed so far; `failures` tells why.',
    }),
    progress: t.exposeFloat('progress', {
      description:
        'The share that is done, 0 to 1: (successCount + failureCount) / totalCount. Null when that is not known.',
    }),
    failures: t.field({
      type: BatchRecordConnection,
      args: pageArguments,
      description:
        'The records that failed so far, a page at a time. Null when the Participant Service lists none.',
      resolve: (batch, page) => resolvePage(batch, 'failures', page),
    }),
    successes: t.field({
      type: BatchRecordConnection,
      args: pageArguments,
      description:
        'The records that succeeded so far, a page at a time. Null when the Participant Service lists none.',
      resolve: (batch, page) => resolvePage(batch, 'successes', page),
    }),
    data: t.expose('data', {
      type: 'JSONObject',
      nullable: false,
      description:
        "The Participant Service's payload, whole, its numbers exact. It can be long: `failures`, `successes` and `dataAt` take a part of it. (A browser's `JSON.parse` rounds integers beyond 2^53 - 1 and long decimals.)",
    }),
    dataAt: t.field({
      type: 'JSON',
      description:
        'One part of `data`, for what has no field of its own. Null when there is no such part.',
      args: {
        pointer: t.arg.string({
          required: true,
          description:
            'A JSON Pointer (RFC 6901) into `data`: "/errors/0/reason"; "" is the whole; in names "~1" stands for "/" and "~0" for "~".',
        }),
      },
      resolve: (batch, { pointer }) => {
        const value = resolveJsonPointer(batch.data, pointer);
        if (value === undefined) {
          throw new FieldError(
            'BAD_USER_INPUT',
            'pointer accepts a JSON Pointer (RFC 6901): "" or a text that begins with "/", in which "~" is written "~0" and "/" within a name "~1".',
          );
        }
        return value;
      },
    }),
    request: t.expose('request', {
      type: UpstreamRequest,
      nullable: false,
      description: "The Participant Service's echo of the request.",
    }),
    fetchedAt: t.expose('fetchedAt', {
      type: 'DateTime',
      nullable: false,
      description:
        'When the Participant Service said so. Answers are kept for a moment and shared, so this can be a little before the response.',
    }),
    stale: t.exposeBoolean('stale', {
      nullable: false,
      description:
        'True when the Participant Service fails to tell more, and this is the last that it said: the batch may be further by now. `fetchedAt` tells how old it is.',
    }),
  }),
});

/**
 * The key that a client names. Throws a {@link FieldError}: BAD_USER_INPUT for one that cannot be, FORBIDDEN for a batch
 * that the principal may not see.
 */
export function toPermittedKey(
  participantType: string,
  batchId: string | null | undefined,
  { principal, participantTypes }: Pick<GraphQLContext, 'principal' | 'participantTypes'>,
): BatchKey {
  return parseBatchKey(
    participantType,
    batchId ?? null,
    participantTypes,
    principal.participantTypes,
  );
}

builder.queryField('batchStatus', (t) =>
  t.field({
    type: BatchStatus,
    description:
      'The status of a batch request of one participant type. Null, with an error at this path, when it cannot be told; other fields of the query are not touched by that.',
    args: {
      participantType: t.arg.string({
        required: true,
        description:
          'The plural name of a participant type: "vehicles", "drivers". 1 to 128 characters, no control characters, "/" or "\\".',
      }),
      batchId: t.arg.id({
        description:
          'The id that the batch upload was answered with, 1 to 256 characters. Left out, the Participant Service picks the batch.',
      }),
    },
    resolve: (_root, { participantType, batchId }, context) =>
      context.statuses.load(toPermittedKey(participantType, batchId, context)),
  }),
);

export const batchStatusEntity: Entity = {
  typeName: 'BatchStatus',
  keys: ['id', 'participantType batchId'],
  resolveReference: (reference, context) => context.statuses.load(toBatchKey(reference, context)),
};

/** A router sends the members of one of the keys, unchecked. */
function toBatchKey(reference: object, { participantTypes, principal }: GraphQLContext): BatchKey {
  if ('id' in reference && typeof reference.id === 'string') {
    return parseEntityId(reference.id, participantTypes, principal.participantTypes);
  }
  const participantType = 'participantType' in reference ? reference.participantType : undefined;
  const batchId = 'batchId' in reference ? reference.batchId : null;
  if (typeof participantType !== 'string' || (batchId !== null && typeof batchId !== 'string')) {
    throw new FieldError(
      'BAD_USER_INPUT',
      'A reference to a BatchStatus needs an id, or a participantType and a batchId.',
    );
  }
  return toPermittedKey(participantType, batchId, { participantTypes, principal });
}
