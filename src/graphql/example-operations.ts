/** The operations that GraphiQL opens with, a tab each. They are for the sandbox; on a real tenant they show the way. */
export const EXAMPLE_OPERATIONS: readonly string[] = [
  `# A batch that runs.
# Press the play button a few times: it grows for a minute.
query RunningBatch {
  batchStatus(
    participantType: "vehicles"
    batchId: "batch-running"
  ) {
    id
    status
    finished
    progress
    totalCount
    successCount
    failureCount
    fetchedAt
  }
}
`,
  `# The same batch, followed.
# Press the play button once: it grows by itself.
subscription FollowBatches {
  batchStatusUpdates(
    batches: [
      {
        participantType: "vehicles"
        batchId: "batch-running"
      }
    ]
  ) {
    batchStatus {
      id
      status
      finished
      progress
      totalCount
      successCount
      failureCount
      fetchedAt
    }
  }
}
`,
  `# Several batches in one query.
# One fails: the others come all the same.
query SeveralBatches {
  done: batchStatus(
    participantType: "vehicles"
    batchId: "batch-finished"
  ) {
    ...Summary
  }
  partial: batchStatus(
    participantType: "drivers"
    batchId: "batch-partial"
  ) {
    ...Summary
    failures(first: 2) {
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
  }
  unknown: batchStatus(
    participantType: "operators"
    batchId: "no-such-batch"
  ) {
    ...Summary
  }
}

fragment Summary on BatchStatus {
  id
  status
  progress
  failureCount
}
`,
  `# An error: extensions.code is for programs,
# extensions.upstream is what the upstream said.
# Try fault-400, fault-401, fault-429, fault-timeout, …
query Fault {
  batchStatus(
    participantType: "vehicles"
    batchId: "fault-404"
  ) {
    id
    status
  }
}
`,
];
