import type { CodegenConfig } from '@graphql-codegen/cli';
import { addTypenameSelectionDocumentTransform } from '@graphql-codegen/client-preset';

/** GraphQL Code Generator in the place of gql.tada: writes types, and the file for TRUSTED_DOCUMENTS beside them. */
const config: CodegenConfig = {
  schema: '../../schema.graphql',
  documents: ['operations.ts'],
  generates: {
    './generated/': {
      preset: 'client',
      presetConfig: { persistedDocuments: { hashAlgorithm: 'sha256' } },
      // The texts ask for `__typename`, without which a normalised cache cannot keep what comes.
      documentTransforms: [addTypenameSelectionDocumentTransform],
      config: {
        // As they are in JSON: DateTime is RFC 3339 in UTC.
        scalars: { DateTime: 'string', JSON: 'unknown', JSONObject: 'Record<string, unknown>' },
      },
    },
  },
};

export default config;
