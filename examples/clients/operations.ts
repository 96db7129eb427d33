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

/** Other fields of the same batch: why participants failed, and what support asks for. */
export const BatchDetailsQuery = graphql(`
  query BatchDetails($participantType: String!, $batchId: ID) {
    batchStatus(participantType: $participantType, batchId: $batchId) {
      id
      status
      failureCount
      failures: dataAt(pointer: "/failureDetails")
      request {
        method
        uri
        queryString
      }
      fetchedAt
    }
  }
`);

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
