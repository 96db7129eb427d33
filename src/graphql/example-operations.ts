import { EXPLAIN_HEADER, EXPLAIN_VALUE } from './explain.ts';

/** An operation with what GraphiQL sends it with. */
interface ExampleOperation {
  readonly query: string;
  readonly headers?: Readonly<Record<string, string>>;
}

/** The operations that GraphiQL opens with, a tab each. They are for the sandbox; on a real tenant they show the way. */
export const EXAMPLE_OPERATIONS: readonly ExampleOperation[] = [
  {
    query: `# A batch that runs.
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
  },
  {
    query: `# The same batch, followed.
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
  },
  {
    query: `# Several batches in one query.
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
  },
  {
    query: `# An error: extensions.code is for programs,
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
  },
];

/** Where answers are explained: its tab. */
export const EXPLAINED_OPERATION: ExampleOperation = {
  query: `# How an answer came about: the pane of headers has
# x-explain, the answer extensions.explain.
# Press the play button twice: it is cached then.
# Try fault-401-once: the token is renewed.
query Explain {
  batchStatus(
    participantType: "vehicles"
    batchId: "batch-finished"
  ) {
    status
  }
}
`,
  headers: { [EXPLAIN_HEADER]: EXPLAIN_VALUE },
};
