/**
 * What a page runs: the clients as their documentation has them, without any setting for this gateway. Bundled for
 * the browser with the packages of examples/clients.
 */
import { ApolloClient, gql, HttpLink, InMemoryCache } from '@apollo/client';
import { PersistedQueryLink } from '@apollo/client/link/persisted-queries';
import { Client, cacheExchange, fetchExchange } from '@urql/core';
import { createClient } from 'graphql-sse';

const QUERY = `query Status($id: ID) {
  batchStatus(participantType: "vehicles", batchId: $id) { id status }
}`;

const SUBSCRIPTION = `subscription Follow($id: ID) {
  batchStatusUpdates(batches: [{ participantType: "vehicles", batchId: $id }]) {
    batchId
    batchStatus { id status }
  }
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

/** Each resolves with the statuses that came, when the subscription is over. */
function followWithApollo(url, id) {
  const client = new ApolloClient({ cache: new InMemoryCache(), link: new HttpLink({ uri: url }) });
  const statuses = [];
  return new Promise((complete, error) => {
    client.subscribe({ query: gql(SUBSCRIPTION), variables: { id } }).subscribe({
      next: ({ data }) => statuses.push(data.batchStatusUpdates.batchStatus.status),
      error,
      complete: () => complete(statuses),
    });
  });
}

function followWithUrql(url, id) {
  const exchanges = [cacheExchange, fetchExchange];
  const client = new Client({ url, exchanges, fetchSubscriptions: true });
  const statuses = [];
  return new Promise((complete, reject) => {
    client.subscription(SUBSCRIPTION, { id }).subscribe(({ data, error, hasNext }) => {
      if (error) reject(error);
      else if (!hasNext) complete(statuses);
      else statuses.push(data.batchStatusUpdates.batchStatus.status);
    });
  });
}

function followWithGraphqlSse(url, id) {
  const statuses = [];
  return new Promise((complete, error) => {
    createClient({ url, retryAttempts: 0 }).subscribe(
      { query: SUBSCRIPTION, variables: { id } },
      {
        next: ({ data }) => statuses.push(data.batchStatusUpdates.batchStatus.status),
        error,
        complete: () => complete(statuses),
      },
    );
  });
}

/** As docs/live.md has it: the browser's own. */
function followWithEventSource(url, id) {
  const statuses = [];
  const parameters = { query: SUBSCRIPTION, variables: JSON.stringify({ id }) };
  const events = new EventSource(`${url}?${new URLSearchParams(parameters)}`);
  return new Promise((complete, reject) => {
    events.addEventListener('next', ({ data }) =>
      statuses.push(JSON.parse(data).data.batchStatusUpdates.batchStatus.status),
    );
    events.addEventListener('error', () => reject(new Error('an error of EventSource')));
    events.addEventListener('complete', () => {
      events.close();
      complete(statuses);
    });
  });
}

Object.assign(globalThis, {
  askWithApollo,
  askWithUrql,
  followWithApollo,
  followWithUrql,
  followWithGraphqlSse,
  followWithEventSource,
});
