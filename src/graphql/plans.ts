import { type DocumentNode, type GraphQLSchema, getOperationAST } from 'graphql';
import type { Plugin } from 'graphql-yoga';
import { LRUCache } from 'lru-cache';
import { type CompiledOperation, compileOperation } from './compiled-operation.ts';

/**
 * Bounds of what is kept: in number, and in characters of the texts. A document takes some hundred
 * bytes for each character, so these stand for tens of megabytes at most.
 */
const MAX_PLANS = 1_000;
const MAX_TEXT_LENGTH = 8 * 1024;
const MAX_ALL_TEXTS_LENGTH = 256 * 1024;

/** A text that comes again is worth compiling; one that never does is not. */
const RUNS_BEFORE_COMPILING = 2;

/** What is known of one query text. */
interface Plan {
  readonly text: string;
  readonly document: DocumentNode;
  runs: number;
  /** By operation; undefined where it is not compiled. */
  readonly compiled: Map<object, CompiledOperation | undefined>;
}

/** The plans of a server. */
export interface Plans {
  /** The document of a text that has been parsed and found valid before, if it has the operation. */
  find(text: string, operationName: string | null | undefined): DocumentNode | undefined;
  plugin: Plugin;
}

/**
 * A plan for each query text: parsed and validated once, and, when it comes again, compiled by
 * graphql-jit, which takes a fifth of the executor's time. Faulty documents and long ones are not
 * kept: they cannot drive out the others.
 *
 * A compiled plan has the answers without an error. Where there is one, the ordinary executor runs the
 * operation again, in the same context, whose loader has every status and every failure at hand: so
 * errors are the executor's own, and no call is made twice. Only queries are compiled: what they do
 * may be done twice.
 */
export function createPlans(): Plans {
  const byText = new LRUCache<string, Plan>({
    max: MAX_PLANS,
    maxSize: MAX_ALL_TEXTS_LENGTH,
    maxEntrySize: MAX_TEXT_LENGTH,
    sizeCalculation: ({ text }) => text.length || 1,
  });
  const byDocument = new WeakMap<DocumentNode, Plan>();

  const plugin: Plugin = {
    onParse({ params, setParsedDocument }) {
      const text = params.source.toString();
      const plan = byText.get(text);
      if (plan) {
        setParsedDocument(plan.document);
        return undefined;
      }
      return ({ result: document }) => {
        if (document === null || document instanceof Error) return;
        byDocument.set(document, { text, document, runs: 0, compiled: new Map() });
      };
    },
    onValidate({ params, setResult }) {
      const plan = byDocument.get(params.documentAST);
      if (plan && byText.peek(plan.text) === plan) {
        setResult([]);
        return undefined;
      }
      return ({ valid }) => {
        if (valid && plan) byText.set(plan.text, plan);
      };
    },
    onExecute({ args, executeFn, setExecuteFn }) {
      const plan = byDocument.get(args.document);
      if (plan === undefined) return;
      plan.runs += 1;
      const compiled = compiledOperation(plan, args.schema, args.operationName);
      if (compiled === undefined) return;
      setExecuteFn(async (again) => (await compiled(again)) ?? executeFn(again));
    },
  };
  return {
    find(text, operationName) {
      const document = byText.get(text)?.document;
      return document && getOperationAST(document, operationName) ? document : undefined;
    },
    plugin,
  };
}

function compiledOperation(
  { document, runs, compiled }: Plan,
  schema: GraphQLSchema,
  name: string | null | undefined,
): CompiledOperation | undefined {
  if (runs < RUNS_BEFORE_COMPILING) return undefined;
  const operation = getOperationAST(document, name);
  if (!operation) return undefined;
  if (!compiled.has(operation)) {
    compiled.set(operation, compileOperation(schema, document, operation));
  }
  return compiled.get(operation);
}
