import { type DocumentNode, getOperationAST, OperationTypeNode } from 'graphql';
import { type CompiledQuery, compileQuery, isCompiledQuery } from 'graphql-jit';
import type { Plugin } from 'graphql-yoga';
import { LRUCache } from 'lru-cache';
import { costOf } from './limits.ts';

/**
 * Bounds of what is kept: in number, and in characters of the texts. A document takes some hundred
 * bytes for each character, so these stand for tens of megabytes at most.
 */
const MAX_PLANS = 1_000;
const MAX_TEXT_LENGTH = 8 * 1024;
const MAX_ALL_TEXTS_LENGTH = 256 * 1024;

/** A text that comes again is worth compiling; one that never does is not. */
const RUNS_BEFORE_COMPILING = 2;
/** Compiling takes about 0.1 ms for each point: more than a caller should be able to ask for. */
const MAX_COMPILED_COST = 100;

/** What is known of one query text. */
interface Plan {
  readonly text: string;
  readonly document: DocumentNode;
  runs: number;
  /** By operation; undefined where the compiler cannot, or it would take too long. */
  readonly compiled: Map<object, CompiledQuery | undefined>;
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
      setExecuteFn(async (again) => {
        const result = await compiled.query(
          again.rootValue,
          again.contextValue,
          again.variableValues,
        );
        return result.errors === undefined ? result : executeFn(again);
      });
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
  schema: Parameters<typeof compileQuery>[0],
  name: string | null | undefined,
): CompiledQuery | undefined {
  if (runs < RUNS_BEFORE_COMPILING) return undefined;
  const operation = getOperationAST(document, name);
  if (operation?.operation !== OperationTypeNode.QUERY) return undefined;
  if (!compiled.has(operation)) {
    const plan =
      costOf(document) > MAX_COMPILED_COST
        ? undefined
        : compileQuery(schema, document, operation.name?.value);
    compiled.set(operation, plan !== undefined && isCompiledQuery(plan) ? plan : undefined);
  }
  return compiled.get(operation);
}
