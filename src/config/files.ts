import { createPrivateKey, X509Certificate } from 'node:crypto';
import { readFileSync, statSync } from 'node:fs';
import { decodeSecretFile, decodeTextFile, TextFileError } from '../lib/text-file.ts';
import type { ClientCertificate } from './settings.ts';
import { type Fault, type Given, SECRET_NAMES, type VariableName } from './variables.ts';

/** Reads a file whole. Throws the system's error where that cannot be done, or it is no file. */
export type ReadFile = (path: string) => Uint8Array;

/** Not what is no file: a device may have no end. */
export const readRegularFile: ReadFile = (path) => {
  if (!statSync(path).isFile()) throw new Error('not a file');
  return readFileSync(path);
};

/** What was read from the files that variables name, and what is wrong with them. Paths are not told: they may be secrets. */
interface FromFiles<T> {
  readonly value: T;
  readonly faults: readonly Fault[];
}

/** The same variables, each secret X in the place of its `X_FILE`. */
export function readSecretFiles(given: Given, readFile: ReadFile): FromFiles<Given> {
  const secrets: [VariableName, string][] = [];
  const faults: Fault[] = [];
  for (const [name, fileName] of SECRET_NAMES) {
    const path = given[fileName];
    if (path === undefined) continue;
    if (given[name] !== undefined) {
      faults.push([name, `is set together with ${fileName}: one of them`]);
    }
    try {
      secrets.push([name, decodeSecretFile(readFile(path))]);
    } catch (error) {
      faults.push([fileName, faultOf(error)]);
    }
  }
  return { value: { ...given, ...Object.fromEntries(secrets) }, faults };
}

/** The certificate that the gateway shows to the Participant Service; undefined where there is none. */
export function readClientCertificate(
  given: Given,
  readFile: ReadFile,
): FromFiles<ClientCertificate | undefined> {
  const [certPath, keyPath] = [given.UPSTREAM_CLIENT_CERT_FILE, given.UPSTREAM_CLIENT_KEY_FILE];
  const none = (faults: Fault[]) => ({ value: undefined, faults });
  if (certPath === undefined && keyPath === undefined) return none([]);
  if (certPath === undefined) {
    return none([
      ['UPSTREAM_CLIENT_CERT_FILE', 'is missing, although UPSTREAM_CLIENT_KEY_FILE is set'],
    ]);
  }
  if (keyPath === undefined) {
    return none([
      ['UPSTREAM_CLIENT_KEY_FILE', 'is missing, although UPSTREAM_CLIENT_CERT_FILE is set'],
    ]);
  }
  const certificate = attempt('UPSTREAM_CLIENT_CERT_FILE', () => {
    const pem = decodeTextFile(readFile(certPath));
    return { pem, parsed: parsePem(() => new X509Certificate(pem), 'has no certificate in PEM') };
  });
  const key = attempt('UPSTREAM_CLIENT_KEY_FILE', () => {
    const pem = decodeTextFile(readFile(keyPath));
    if (/ENCRYPTED/.test(pem)) throw new TextFileError('has an encrypted key: decrypt it');
    return { pem, parsed: parsePem(() => createPrivateKey(pem), 'has no private key in PEM') };
  });
  if ('fault' in certificate || 'fault' in key) {
    return none([certificate, key].flatMap((each) => ('fault' in each ? [each.fault] : [])));
  }
  const { parsed } = certificate.value;
  if (!parsed.checkPrivateKey(key.value.parsed)) {
    return none([
      ['UPSTREAM_CLIENT_KEY_FILE', 'has another key than that of UPSTREAM_CLIENT_CERT_FILE'],
    ]);
  }
  const value = {
    cert: certificate.value.pem,
    key: key.value.pem,
    subject: parsed.subject.replaceAll('\n', ', '),
    validUntil: new Date(parsed.validTo),
  };
  return { value, faults: [] };
}

/** The fault of a file that cannot be read; undefined where it can be. */
export function faultOfFile(path: string, readFile: ReadFile): string | undefined {
  try {
    readFile(path);
    return undefined;
  } catch (error) {
    return faultOf(error);
  }
}

function attempt<T>(name: VariableName, read: () => T): { value: T } | { fault: Fault } {
  try {
    return { value: read() };
  } catch (error) {
    return { fault: [name, faultOf(error)] };
  }
}

function parsePem<T>(parse: () => T, fault: string): T {
  try {
    return parse();
  } catch {
    throw new TextFileError(fault);
  }
}

/** The system's messages have the path in them. */
function faultOf(error: unknown): string {
  if (error instanceof TextFileError) return `names a file that ${error.message}`;
  const code = error instanceof Error && 'code' in error ? String(error.code) : 'not a file';
  return `names a file that cannot be read (${code})`;
}
