import type { ResultOf, VariablesOf } from 'gql.tada';
import { graphql } from './graphql.ts';

/** What a progress bar needs. With `id`: caches keep one batch under it, whichever query asked. */
export const BatchSummary = graphql(`
  fragment BatchSummary on BatchStatus {
    id
    status
    finished
    progress
    totalCount
    successCount
    failureCount
  }
`);

export type Batch = ResultOf<typeof BatchSummary>;

/** How far one batch is: the query to poll. */
export const BatchStatusQuery = graphql(
  `
    query BatchStatus($participantType: String!, $batchId: ID) {
      batchStatus(participantType: $participantType, batchId: $batchId) {
        ...BatchSummary
      }
    }
  `,
  [BatchSummary],
);

export type BatchVariables = VariablesOf<typeof BatchStatusQuery>;

/** A page of the participants that failed, and why. */
const FailurePage = graphql(`
  fragment FailurePage on BatchRecordConnection {
    totalCount
    edges {
      node {
        refId
        reason
      }
    }
    pageInfo {
      hasNextPage
      endCursor
    }
  }
`);

/** Other fields of the same batch: the first failures, and what support asks for. */
export const BatchDetailsQuery = graphql(
  `
    query BatchDetails($participantType: String!, $batchId: ID) {
      batchStatus(participantType: $participantType, batchId: $batchId) {
        id
        status
        failureCount
        failures {
          ...FailurePage
        }
        request {
          method
          uri
          queryString
        }
        fetchedAt
      }
    }
  `,
  [FailurePage],
);

/** All failures of a batch, a page at a time: `after` is the `endCursor` of the page before. */
export const BatchFailuresQuery = graphql(
  `
    query BatchFailures($participantType: String!, $batchId: ID, $after: String) {
      batchStatus(participantType: $participantType, batchId: $batchId) {
        id
        failures(first: 100, after: $after) {
          ...FailurePage
        }
      }
    }
  `,
  [FailurePage],
);

/** Several batches at once. One that cannot be read is null, and the others come all the same. */
export const DashboardQuery = graphql(
  `
    query Dashboard($vehicles: ID, $drivers: ID, $operators: ID) {
      vehicles: batchStatus(participantType: "vehicles", batchId: $vehicles) {
        ...BatchSummary
      }
      drivers: batchStatus(participantType: "drivers", batchId: $drivers) {
        ...BatchSummary
      }
      operators: batchStatus(participantType: "operators", batchId: $operators) {
        ...BatchSummary
      }
    }
  `,
  [BatchSummary],
);

/** One batch of several, or null. */
const BatchUpdate = graphql(
  `
    fragment BatchUpdate on BatchStatusUpdate {
      participantType
      batchId
      batchStatus {
        ...BatchSummary
      }
    }
  `,
  [BatchSummary],
);

export type Update = ResultOf<typeof BatchUpdate>;

/** How far several batches are, from now until all are finished: what `followBatches` subscribes to. */
export const BatchUpdatesSubscription = graphql(
  `
    subscription BatchUpdates($batches: [BatchStatusKey!]!) {
      batchStatusUpdates(batches: $batches) {
        ...BatchUpdate
      }
    }
  `,
  [BatchUpdate],
);

/** The same list once: what `followBatches` polls where there is no stream. */
export const BatchStatusesQuery = graphql(
  `
    query BatchStatuses($batches: [BatchStatusKey!]!) {
      batchStatuses(batches: $batches) {
        ...BatchUpdate
      }
    }
  `,
  [BatchUpdate],
);

export type BatchesVariables = VariablesOf<typeof BatchStatusesQuery>;
