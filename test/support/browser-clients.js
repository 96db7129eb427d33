/**
 * What a page runs: the clients as their documentation has them, without any setting for this gateway. Bundled for
 * the browser with the packages of examples/clients.
 */
import { ApolloClient, gql, HttpLink, InMemoryCache } from '@apollo/client';
import { PersistedQueryLink } from '@apollo/client/link/persisted-queries';
import { Client, cacheExchange, fetchExchange } from '@urql/core';

const QUERY = `query Status($id: ID) {
  batchStatus(participantType: "vehicles", batchId: $id) { id status }
}`;

async function sha256(text) {
  const digest = await crypto.subtle.digest('SHA-256', new TextEncoder().encode(text));
  return [...new Uint8Array(digest)].map((byte) => byte.toString(16).padStart(2, '0')).join('');
}

/** With automatic persisted queries: two queries, of which each would fail for good if the first did. */
async function askWithApollo(url) {
  const client = new ApolloClient({
    cache: new InMemoryCache(),
    link: new PersistedQueryLink({ sha256 }).concat(new HttpLink({ uri: url })),
  });
  const answers = [];
  for (const id of ['batch-finished', 'batch-failed']) {
    answers.push((await client.query({ query: gql(QUERY), variables: { id } })).data);
  }
  return answers;
}

/** It sends short queries by GET. */
async function askWithUrql(url) {
  const client = new Client({ url, exchanges: [cacheExchange, fetchExchange] });
  const { data, error } = await client.query(QUERY, { id: 'batch-finished' }).toPromise();
  return { data, error: error?.message };
}

Object.assign(globalThis, { askWithApollo, askWithUrql });
