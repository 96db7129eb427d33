import {
  type BatchRecord as BatchRecordShape,
  DEFAULT_PAGE_SIZE,
  MAX_PAGE_SIZE,
  type RecordList,
  type RecordPage,
  toRecordPage,
} from '../../status/records.ts';
import type { BatchStatus } from '../../status/status.ts';
import { builder } from './builder.ts';

const BatchRecord = builder.objectRef<BatchRecordShape>('BatchRecord').implement({
  description:
    'One record of a batch: a participant that the upload wanted to create or update. Each field is null where the Participant Service does not tell it. `id` is no key for caches: one participant can be in many batches, under another `refId` in each.',
  fields: (t) => ({
    refId: t.exposeString('refId', {
      description: "The uploader's own reference of the record.",
    }),
    id: t.exposeID('id', {
      description: 'The id that the participant got, or has.',
    }),
    reason: t.exposeString('reason', {
      description: 'Why the record failed, in the words of the Participant Service.',
    }),
    code: t.exposeString('code', {
      description: "The Participant Service's code of that reason.",
    }),
    record: t.expose('record', {
      type: 'JSON',
      description: 'The record as the Participant Service sent it, whole.',
    }),
  }),
});

const PageInfo = builder.objectRef<RecordPage['pageInfo']>('PageInfo').implement({
  description: 'Where a page is in its list, as Relay has it.',
  fields: (t) => ({
    hasNextPage: t.exposeBoolean('hasNextPage', {
      nullable: false,
      description: 'Whether there are records behind this page.',
    }),
    hasPreviousPage: t.exposeBoolean('hasPreviousPage', {
      nullable: false,
      description: 'Whether there are records ahead of this page.',
    }),
    startCursor: t.exposeString('startCursor', {
      description: 'The cursor of the first record of this page; null when it is empty.',
    }),
    endCursor: t.exposeString('endCursor', {
      description:
        'The cursor of the last record of this page: `after` for the next one; null when it is empty.',
    }),
  }),
});

const BatchRecordEdge = builder
  .objectRef<RecordPage['edges'][number]>('BatchRecordEdge')
  .implement({
    description: 'A record in its place in the list.',
    fields: (t) => ({
      cursor: t.exposeString('cursor', {
        nullable: false,
        description:
          'The place of the record in this list of this batch: `after` for what follows.',
      }),
      node: t.expose('node', { type: BatchRecord, nullable: false, description: 'The record.' }),
    }),
  });

/** A page of records, see {@link toRecordPage}. */
export const BatchRecordConnection = builder
  .objectRef<RecordPage>('BatchRecordConnection')
  .implement({
    description:
      'A page of the records of a batch, as the Relay connection specification has it. Records keep their places while a batch runs, and new ones come behind them.',
    fields: (t) => ({
      edges: t.expose('edges', {
        type: [BatchRecordEdge],
        nullable: false,
        description: 'The records of this page.',
      }),
      pageInfo: t.expose('pageInfo', {
        type: PageInfo,
        nullable: false,
        description: 'Where this page is in the list.',
      }),
      totalCount: t.exposeInt('totalCount', {
        nullable: false,
        description: 'The records in the list, on this page and all others.',
      }),
    }),
  });

/** The arguments of a field that pages through records. */
export const pageArguments = builder.args((t) => ({
  first: t.int({
    defaultValue: DEFAULT_PAGE_SIZE,
    description: `How many records to send, 0 to ${MAX_PAGE_SIZE}.`,
  }),
  after: t.string({
    description:
      'The cursor of the record behind which to begin; left out, from the first on. Page with a batchId: without one, the Participant Service may pick another batch for the next page.',
  }),
}));

/** The page that a field was asked for; null where the upstream does not list these records. */
export function resolvePage(
  batch: BatchStatus,
  name: RecordList['name'],
  { first, after }: { first?: number | null | undefined; after?: string | null | undefined },
): RecordPage | null {
  const records = batch[name];
  if (records === null) return null;
  return toRecordPage({ key: batch.key, name, records }, first ?? DEFAULT_PAGE_SIZE, after ?? null);
}
