import { createRequire } from 'node:module';
import {
  type DocumentNode,
  type ExecutionArgs,
  type ExecutionResult,
  GraphQLError,
  type GraphQLSchema,
  getOperationAST,
  Kind,
  type OperationDefinitionNode,
} from 'graphql';
import type { Plugin } from 'graphql-yoga';
import { LRUCache } from 'lru-cache';
import type { CacheUse } from '../core/telemetry.ts';
import { textBytes } from '../lib/json-size.ts';
import { type CompiledOperation, compileOperation } from './compiled-operation.ts';
import { MeasuredOperation, type OperationLimits, useLimits } from './limits.ts';
import { useHiddenSchema } from './use-hidden-schema.ts';
import { OperationVariables, type Variables } from './variables.ts';

/** As CommonJS, of which its 400 files, with all that they bring, are loaded faster and in less memory. */
const loadYoga = (): typeof import('graphql-yoga') =>
  createRequire(import.meta.url)('graphql-yoga');

/** Bounds of what is kept: in number, and in bytes of memory. */
const MAX_DOCUMENTS = 1_000;
const MAX_TEXT_LENGTH = 8 * 1024;
const MAX_ALL_BYTES = 32 * 1024 * 1024;

/** As measured: 125 to 150 bytes for each character of a document's text, 250 when it is compiled, too. */
const BYTES_PER_CHARACTER = 256;
/** An error without its stack took 500 to 1,600 bytes. */
const BYTES_PER_ERROR = 2_048;

/** Bounds of the texts that came once, of which no more is remembered: in number, and in bytes. */
const MAX_TEXTS = 4_000;
const MAX_TEXTS_BYTES = 4 * 1024 * 1024;

/** What an operation is run with. */
interface OperationInput {
  readonly contextValue: unknown;
  readonly variables: Variables;
}

/** One operation of a document that is valid. */
export interface PreparedOperation {
  readonly node: OperationDefinitionNode;
  readonly name: string | null;
  /** What it asks for, beside what its document does. */
  readonly measured: MeasuredOperation;
  /** What is wrong with the variables, before anything is executed; empty: nothing that is known yet. */
  faultsOfVariables(variables: Variables): readonly GraphQLError[];
  /**
   * Runs it compiled, where its text came before and that is known to give the same answer. Where it is undefined,
   * or has an error, `execute` is to run it, in the same context, whose loader has every status and every failure
   * at hand: so errors are the executor's own, and no call is made twice.
   */
  executeCompiled(input: OperationInput): undefined | ExecutionResult | Promise<ExecutionResult>;
  execute(input: OperationInput): Promise<ExecutionResult>;
  /** The same, with each field counted: see `response-size.ts`. */
  executeCounted(input: OperationInput): Promise<ExecutionResult>;
  /** The events of a subscription, or why there are none. Each is executed when it is taken. */
  subscribe(input: OperationInput): Promise<ExecutionResult | AsyncIterable<ExecutionResult>>;
}

/** A text, parsed, measured and validated. */
export interface PreparedDocument {
  /** Why it cannot be executed, whatever operation is asked for; empty: it can. */
  readonly errors: readonly GraphQLError[];
  /** The operation of that name, or the only one; an error where there is none. */
  operation(name: string | null | undefined): PreparedOperation | GraphQLError;
}

interface DocumentsOptions {
  schema: GraphQLSchema;
  /** Another of the same, to be made when it is needed first. */
  createCountingSchema: () => GraphQLSchema;
  limits: OperationLimits;
  introspection: boolean;
}

/** The documents of a server, kept from the second time on that a text comes. Shared by all callers. */
export interface Documents {
  /** The document of a text that is prepared already. */
  known(text: string): PreparedDocument | undefined;
  /** Throws a `RefusedRequest` for a document that exceeds a limit. */
  prepare(text: string): PreparedDocument;
  /** Loads what the first `prepare` needs, and else loads itself: about as long as Node.js takes to start. */
  load(): void;
  cacheUse(): CacheUse;
}

/**
 * Yoga parses, validates and executes, with plugins that hook the first two. Documents that are faulty are
 * remembered, too, or they would cost more than good ones; long ones are not: they cannot drive out the others.
 */
export function createDocuments(options: DocumentsOptions): Documents {
  const { schema, limits, introspection } = options;
  const plugins: Plugin[] = [useLimits(limits), ...(introspection ? [] : [useHiddenSchema()])];
  const load = lazily(() => {
    const { YogaServer } = loadYoga();
    // Not by createYoga, which would make a server of it, and have Node.js load fetch.
    const yoga = new YogaServer({
      schema,
      plugins,
      // Errors become public in errors.ts, texts are remembered here.
      maskedErrors: false,
      parserAndValidationCache: false,
      graphiql: false,
      landingPage: false,
      logging: false,
    });
    return yoga.getEnveloped({});
  });
  const byText = new LRUCache<string, PreparedDocument>({
    max: MAX_DOCUMENTS,
    maxSize: MAX_ALL_BYTES,
    sizeCalculation: ({ errors }, text) =>
      BYTES_PER_CHARACTER * (text.length + 1) + BYTES_PER_ERROR * errors.length,
  });

  const cameOnce = new LRUCache<string, true>({
    max: MAX_TEXTS,
    maxSize: MAX_TEXTS_BYTES,
    sizeCalculation: (_, text) => textBytes(text),
  });

  /** The one that was found last: many requests in a row have the same. */
  let last: { text: string; document: PreparedDocument } | undefined;
  let hits = 0;
  let misses = 0;
  const countingSchema = lazily(options.createCountingSchema);

  function prepare(text: string, comesAgain: boolean): PreparedDocument {
    const { parse, validate, execute, subscribe } = load();
    let document: DocumentNode;
    try {
      document = parse(text);
    } catch (error) {
      if (error instanceof GraphQLError) return new FaultyDocument([error]);
      throw error;
    }
    const errors: readonly GraphQLError[] = validate(schema, document);
    if (errors.length > 0) return new FaultyDocument(errors);
    const parts = { schema, countingSchema, document, limits, execute, subscribe };
    return new ValidDocument({ ...parts, mayCompile: comesAgain });
  }

  return {
    known(text) {
      if (last?.text !== text) {
        const document = byText.get(text);
        if (document === undefined) return undefined;
        last = { text, document };
      }
      hits += 1;
      return last.document;
    },
    prepare(text) {
      const known = byText.get(text);
      if (known !== undefined) return known;
      misses += 1;
      const comesAgain = cameOnce.delete(text);
      const prepared = prepare(text, comesAgain);
      if (text.length > MAX_TEXT_LENGTH) return prepared;
      // What never comes again does not drive out what does, nor is it worth compiling.
      if (comesAgain) byText.set(text, prepared);
      else cameOnce.set(text, true);
      return prepared;
    },
    load: () => void load(),
    cacheUse: () => ({ hits, misses, entries: byText.size, bytes: byText.calculatedSize }),
  };
}

/** Makes a value when it is asked for first. */
function lazily<Value extends object>(create: () => Value): () => Value {
  let value: Value | undefined;
  return () => (value ??= create());
}

class FaultyDocument implements PreparedDocument {
  readonly errors: readonly GraphQLError[];

  constructor(errors: readonly GraphQLError[]) {
    this.errors = errors;
    // It would hold all that validation works with, some 50 KB for each document.
    for (const error of errors) error.stack = '';
  }

  operation(): GraphQLError {
    return this.errors[0] ?? new GraphQLError('The document is faulty.');
  }
}

type Execute = (args: ExecutionArgs) => unknown;

/** What every operation of a document is made of. */
interface DocumentParts {
  readonly schema: GraphQLSchema;
  readonly countingSchema: () => GraphQLSchema;
  readonly document: DocumentNode;
  readonly limits: OperationLimits;
  readonly mayCompile: boolean;
  readonly execute: Execute;
  readonly subscribe: Execute;
}

class ValidDocument implements PreparedDocument {
  readonly errors = [];
  readonly #parts: DocumentParts;
  readonly #operations = new Map<OperationDefinitionNode, PreparedOperation>();

  constructor(parts: DocumentParts) {
    this.#parts = parts;
  }

  operation(name: string | null | undefined): PreparedOperation | GraphQLError {
    const node = getOperationAST(this.#parts.document, name);
    if (!node) return this.#missing(name);
    let operation = this.#operations.get(node);
    if (operation === undefined) {
      operation = new Operation(this.#parts, node);
      this.#operations.set(node, operation);
    }
    return operation;
  }

  /** In the words of graphql's own executor. */
  #missing(name: string | null | undefined): GraphQLError {
    if (name != null) return new GraphQLError(`Unknown operation named "${name}".`);
    const { definitions } = this.#parts.document;
    const has = definitions.some(({ kind }) => kind === Kind.OPERATION_DEFINITION);
    return new GraphQLError(
      has
        ? 'Must provide operation name if query contains multiple operations.'
        : 'Must provide an operation.',
    );
  }
}

class Operation implements PreparedOperation {
  readonly node: OperationDefinitionNode;
  readonly name: string | null;
  readonly measured: MeasuredOperation;
  readonly #parts: DocumentParts;
  readonly #variables: OperationVariables;
  #isCompiling = false;
  #compiled: CompiledOperation | undefined;

  constructor(parts: DocumentParts, node: OperationDefinitionNode) {
    this.node = node;
    this.name = node.name?.value ?? null;
    this.measured = new MeasuredOperation(parts.document, node, parts.limits);
    this.#variables = new OperationVariables(parts.schema, node);
    this.#parts = parts;
  }

  faultsOfVariables(variables: Variables): readonly GraphQLError[] {
    return this.#variables.faults(variables);
  }

  executeCompiled({
    contextValue,
    variables,
  }: OperationInput): undefined | ExecutionResult | Promise<ExecutionResult> {
    if (this.#compiled === undefined) {
      this.#compileSoon();
      return undefined;
    }
    const coerced = this.#variables.coerce(variables);
    return coerced && this.#compiled(contextValue, coerced);
  }

  execute(input: OperationInput): Promise<ExecutionResult> {
    return this.#executeWith(this.#parts.schema, input);
  }

  /** Not in the way of a request: until it is compiled, the ordinary executor runs it. */
  #compileSoon(): void {
    const { schema, document, mayCompile } = this.#parts;
    if (!mayCompile || this.#isCompiling) return;
    this.#isCompiling = true;
    setImmediate(() => {
      compileOperation(schema, document, this.node).then(
        (compiled) => {
          this.#compiled = compiled;
        },
        () => {},
      );
    });
  }

  executeCounted(input: OperationInput): Promise<ExecutionResult> {
    return this.#executeWith(this.#parts.countingSchema(), input);
  }

  async subscribe(
    input: OperationInput,
  ): Promise<ExecutionResult | AsyncIterable<ExecutionResult>> {
    const { schema, subscribe } = this.#parts;
    const results = await subscribe(this.#toArguments(schema, input));
    return isIterable(results) ? results : toSingleResult(results);
  }

  async #executeWith(schema: GraphQLSchema, input: OperationInput): Promise<ExecutionResult> {
    const { execute } = this.#parts;
    return toSingleResult(await execute(this.#toArguments(schema, input)));
  }

  #toArguments(
    schema: GraphQLSchema,
    { contextValue, variables: variableValues }: OperationInput,
  ): ExecutionArgs {
    const { document } = this.#parts;
    return { schema, document, operationName: this.name, contextValue, variableValues };
  }
}

function isIterable(result: unknown): result is AsyncIterable<ExecutionResult> {
  return typeof result === 'object' && result !== null && Symbol.asyncIterator in result;
}

function toSingleResult(result: unknown): ExecutionResult {
  if (typeof result !== 'object' || result === null || isIterable(result)) {
    throw new Error('a result that is not one answer');
  }
  return result;
}
