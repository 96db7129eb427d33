import { FieldError } from '../../core/errors.ts';
import type { BatchUpdate, GraphQLContext } from '../context.ts';
import { BatchStatus, toPermittedKey } from './batch-status.ts';
import { builder } from './builder.ts';

const BatchStatusKey = builder.inputType('BatchStatusKey', {
  description: 'Which batch: the arguments of `batchStatus` as an object.',
  fields: (t) => ({
    participantType: t.string({
      required: true,
      description: 'The plural name of a participant type: "vehicles", "drivers".',
    }),
    batchId: t.id({
      description:
        'The id that the batch upload was answered with. Left out, the Participant Service picks the batch.',
    }),
  }),
});

const BatchStatusUpdate = builder.objectRef<BatchUpdate>('BatchStatusUpdate').implement({
  description: 'One batch of several: its key, and its status or why there is none.',
  fields: (t) => ({
    participantType: t.exposeString('participantType', {
      nullable: false,
      description: 'The plural name of the participant type, as it was asked for.',
    }),
    batchId: t.exposeID('batchId', {
      description: 'The id of the batch request, as it was asked for; null when it was left out.',
    }),
    batchStatus: t.field({
      type: BatchStatus,
      description:
        'The status of the batch. Null, with an error at this path, when it cannot be told, as with the query `batchStatus`.',
      resolve: (update) => update.load(),
    }),
  }),
});

function checkLength(batches: readonly unknown[], { maxBatches }: GraphQLContext): void {
  if (batches.length > maxBatches) {
    throw new FieldError('OPERATION_TOO_COMPLEX', `batches accepts up to ${maxBatches} batches.`);
  }
}

builder.queryField('batchStatuses', (t) =>
  t.field({
    type: [BatchStatusUpdate],
    nullable: false,
    description:
      'The statuses of several batches, in the order of `batches`. One that cannot be told leaves the others alone. To follow them, subscribe to `batchStatusUpdates`.',
    args: {
      batches: t.arg({
        type: [BatchStatusKey],
        required: true,
        description: 'Which batches: up to as many as one request may ask for, 20 unless set.',
      }),
    },
    resolve: (_root, { batches }, context) => {
      checkLength(batches, context);
      return batches.map(({ participantType, batchId = null }) => ({
        participantType,
        batchId,
        load: () => context.statuses.load(toPermittedKey(participantType, batchId, context)),
      }));
    },
  }),
);

builder.subscriptionType({ description: 'What can be followed.' });

builder.subscriptionField('batchStatusUpdates', (t) =>
  t.field({
    type: BatchStatusUpdate,
    nullable: false,
    description:
      'Follows several batches: first the present status of each, then each change, until all are finished or cannot be told any more.',
    args: {
      batches: t.arg({
        type: [BatchStatusKey],
        required: true,
        description: 'Which batches: up to as many as one request may ask for, 20 unless set.',
      }),
    },
    subscribe: (_root, { batches }, context) => {
      checkLength(batches, context);
      if (context.follow === undefined) throw new Error('there is nobody who follows batches');
      return context.follow(
        batches.map(({ participantType, batchId = null }) => ({ participantType, batchId })),
      );
    },
    resolve: (update: BatchUpdate) => update,
  }),
);
