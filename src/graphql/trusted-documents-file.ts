import { type GraphQLSchema, parse, validate } from 'graphql';
import { decodeTextFile, TextFileError } from '../lib/text-file.ts';
import { exceededLimit, type OperationLimits } from './limits.ts';
import { bareId, toRecord } from './persisted-documents.ts';

/** A file of trusted documents that cannot be used. The message says what is wrong, and where. */
export class TrustedDocumentsError extends Error {
  override readonly name = 'TrustedDocumentsError';
}

/**
 * Reads a list of documents: an object of hash to text, as gql.tada, GraphQL Code Generator and Relay
 * write it, or Apollo's manifest (`apollo-persisted-query-manifest`, version 1). Each is held to the
 * schema and to the limits here, so that one that could never run is found at the start and not by a
 * user. Throws a {@link TrustedDocumentsError}.
 */
export function decodeTrustedDocuments(
  bytes: Uint8Array,
  schema: GraphQLSchema,
  limits: OperationLimits,
): ReadonlyMap<string, string> {
  const texts = new Map<string, string>();
  for (const [id, text] of entriesOf(bytes)) {
    if (typeof text !== 'string') {
      throw new TrustedDocumentsError(`The document ${JSON.stringify(id)} is not a text.`);
    }
    const fault = faultOf(text, schema, limits);
    if (fault !== undefined) {
      throw new TrustedDocumentsError(`The document ${JSON.stringify(id)} cannot run: ${fault}`);
    }
    texts.set(bareId(id), text);
  }
  if (texts.size === 0) throw new TrustedDocumentsError('There is no document in it.');
  return texts;
}

function entriesOf(bytes: Uint8Array): [id: string, text: unknown][] {
  let file: unknown;
  try {
    file = JSON.parse(decodeTextFile(bytes));
  } catch (error) {
    const fault = error instanceof TextFileError ? error.message : 'is not JSON';
    throw new TrustedDocumentsError(`It ${fault}.`);
  }
  if (typeof file !== 'object' || file === null || Array.isArray(file)) {
    throw new TrustedDocumentsError(
      'It is not an object of hash to text, nor a manifest of Apollo.',
    );
  }
  if (!('format' in file)) return Object.entries(file);
  const isManifest =
    file.format === 'apollo-persisted-query-manifest' && 'version' in file && file.version === 1;
  if (!isManifest || !('operations' in file) || !Array.isArray(file.operations)) {
    throw new TrustedDocumentsError(
      'Its format is not "apollo-persisted-query-manifest", version 1, with operations.',
    );
  }
  return file.operations.map((operation: unknown, index) => {
    const { id, body } = toRecord(operation);
    if (typeof id !== 'string') {
      throw new TrustedDocumentsError(`Operation ${index + 1} of the manifest has no id.`);
    }
    return [id, body];
  });
}

function faultOf(text: string, schema: GraphQLSchema, limits: OperationLimits): string | undefined {
  try {
    const document = parse(text, { maxTokens: limits.maxTokens });
    return exceededLimit(document, limits) ?? validate(schema, document)[0]?.message;
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}
