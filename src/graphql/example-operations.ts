/** The operations that GraphiQL opens with. They are for the sandbox; on a real tenant they show the way. */
export const EXAMPLE_OPERATIONS: readonly { query: string; variables: string }[] = [
  {
    query: `# A batch that runs: press the play button a few times and watch it grow.
query RunningBatch($participantType: String!, $batchId: ID) {
  batchStatus(participantType: $participantType, batchId: $batchId) {
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
    variables: `{
  "participantType": "vehicles",
  "batchId": "batch-running"
}
`,
  },
  {
    query: `# Several batches in one query. One fails: the others come all the same.
query SeveralBatches {
  finished: batchStatus(participantType: "vehicles", batchId: "batch-finished") {
    ...Summary
  }
  partial: batchStatus(participantType: "drivers", batchId: "batch-partial") {
    ...Summary
    firstFailure: dataAt(pointer: "/failureDetails/0")
  }
  unknown: batchStatus(participantType: "operators", batchId: "no-such-batch") {
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
    variables: '',
  },
  {
    query: `# An error: extensions.code is for programs, extensions.upstream says what the
# Participant Service said. Try fault-400, fault-401, fault-429, fault-timeout, …
query Fault($batchId: ID!) {
  batchStatus(participantType: "vehicles", batchId: $batchId) {
    id
    status
  }
}
`,
    variables: `{
  "batchId": "fault-404"
}
`,
  },
];
