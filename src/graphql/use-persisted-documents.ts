import type { Plugin } from 'graphql-yoga';
import type { PersistedDocuments } from './persisted-documents.ts';

/** Puts the text of a document in the place of its hash, ahead of all that wants a text. */
export function usePersistedDocuments(documents: PersistedDocuments): Plugin {
  return {
    onParams({ params, setParams }) {
      setParams(documents.resolve(params));
    },
  };
}
