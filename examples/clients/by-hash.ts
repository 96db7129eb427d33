import type { ApolloClient } from '@apollo/client';
import { PersistedQueryLink } from '@apollo/client/link/persisted-queries';
import { generatePersistedQueryIdsFromManifest } from '@apollo/persisted-query-lists';
import type { Client } from '@urql/core';
import { persistedExchange } from '@urql/exchange-persisted';
import { createApolloClient } from './with-apollo.ts';
import { createUrqlClient } from './with-urql.ts';

/** Of what `npm run generate:manifest` writes, the part that clients need. Bundlers import it as JSON. */
export interface Manifest {
  operations: { id: string; name: string }[];
}

/** For a gateway with PERSISTED_QUERIES=on: the text is sent when its hash is not known there. */
export function createPersistingApolloClient(uri: string): ApolloClient {
  return createApolloClient(uri, { ahead: new PersistedQueryLink({ sha256 }) });
}

/** For a gateway with TRUSTED_DOCUMENTS. */
export function createTrustedApolloClient(uri: string, manifest: Manifest): ApolloClient {
  const loadManifest = () => Promise.resolve(manifest);
  const ahead = new PersistedQueryLink(generatePersistedQueryIdsFromManifest({ loadManifest }));
  return createApolloClient(uri, { ahead });
}

/** For a gateway with PERSISTED_QUERIES=on. */
export function createPersistingUrqlClient(url: string): Client {
  const exchange = persistedExchange({
    preferGetForPersistedQueries: false,
    enableForSubscriptions: true,
  });
  return createUrqlClient(url, { ahead: [exchange] });
}

/**
 * For a gateway with TRUSTED_DOCUMENTS. By Apollo's manifest, too: its texts ask for `__typename`,
 * without which a normalised cache cannot keep what comes.
 */
export function createTrustedUrqlClient(url: string, manifest: Manifest): Client {
  const ids = new Map(manifest.operations.map(({ name, id }) => [name, id]));
  const exchange = persistedExchange({
    preferGetForPersistedQueries: false,
    enableForSubscriptions: true,
    enforcePersistedQueries: true,
    generateHash: async (_, { definitions }) => {
      for (const definition of definitions) {
        if (definition.kind === 'OperationDefinition')
          return ids.get(definition.name?.value ?? '') ?? '';
      }
      return '';
    },
  });
  return createUrqlClient(url, { ahead: [exchange] });
}

/** In Node.js and in browsers; in the latter over https or on localhost. */
async function sha256(text: string): Promise<string> {
  const digest = await crypto.subtle.digest('SHA-256', new TextEncoder().encode(text));
  return Array.from(new Uint8Array(digest), (byte) => byte.toString(16).padStart(2, '0')).join('');
}
