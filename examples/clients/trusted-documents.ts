import { graphql } from './graphql.ts';
import { BatchStatusQuery, DashboardQuery } from './operations.ts';

/*
 * Operations for a gateway that runs trusted documents only, each under the hash of its text, by which
 * clients name it. `npm run generate:trusted` writes them into a file for its TRUSTED_DOCUMENTS. The
 * plugin of gql.tada offers the right hash in editors.
 */
export const TrustedBatchStatus = graphql.persisted(
  'sha256:3fc692bfd29becb8dfb5deac01ca96c9523badbf4ae100995be0d22b96e2ba22',
  BatchStatusQuery,
);

export const TrustedDashboard = graphql.persisted(
  'sha256:eaad23f51d8739a95e0087bab3047141c94c7b151be1669827ed6e59f60917e9',
  DashboardQuery,
);
