import type { DocumentNode } from 'graphql';
import type { Plugin } from 'graphql-yoga';
import { LRUCache } from 'lru-cache';

/**
 * Bounds of what is kept: in number, and in characters of the texts. A parsed document takes some
 * hundred bytes for each character, so these stand for tens of megabytes at most.
 */
const MAX_PLANS = 1_000;
const MAX_TEXT_LENGTH = 8 * 1024;
const MAX_ALL_TEXTS_LENGTH = 256 * 1024;

/**
 * Remembers the documents that were parsed and found valid, by their text, so that a query that comes
 * again is not parsed and validated again. Faulty documents and long ones are not kept: they cannot
 * drive out the others.
 */
export function usePlans(): Plugin {
  const documents = new LRUCache<string, DocumentNode>({
    max: MAX_PLANS,
    maxSize: MAX_ALL_TEXTS_LENGTH,
    maxEntrySize: MAX_TEXT_LENGTH,
    sizeCalculation: (_, text) => text.length || 1,
  });
  const valid = new WeakSet<DocumentNode>();
  const texts = new WeakMap<DocumentNode, string>();

  return {
    onParse({ params, setParsedDocument }) {
      const text = params.source.toString();
      const known = documents.get(text);
      if (known) {
        setParsedDocument(known);
        return undefined;
      }
      return ({ result }) => {
        if (result !== null && !(result instanceof Error)) texts.set(result, text);
      };
    },
    onValidate({ params, setResult }) {
      const document = params.documentAST;
      if (valid.has(document)) {
        setResult([]);
        return undefined;
      }
      return ({ valid: isValid }) => {
        const text = texts.get(document);
        if (!isValid || text === undefined) return;
        valid.add(document);
        documents.set(text, document);
      };
    },
  };
}
