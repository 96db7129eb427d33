import { createHash } from 'node:crypto';
import type { BigIntStats } from 'node:fs';
import { readdir, readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import type { Clock } from '../lib/clock.ts';
import { decodeTextFile, TextFileError } from '../lib/text-file.ts';
import type { ReadFile } from './files.ts';
import { filesOfTenant } from './tenant-settings.ts';
import type { Environment } from './variables.ts';

/** What a tenant's file, and the files that it names, hold. */
export interface TenantFileContent {
  /** Another one for another content. */
  readonly digest: string;
  /** Why there is no text, as the end of a sentence that begins with the file; undefined where there is. */
  readonly fault: string | undefined;
  readonly text: string;
  /** Of what the text names: as it was read, without going to the disk. */
  readonly readFile: ReadFile;
}

interface TenantFileReaderOptions {
  directory: string;
  environment: Environment;
  clock: Clock;
}

/** No file of settings, and none of a secret, is longer. */
const MAX_BYTES = 64 * 1024;

/** Files that are read at a time. */
const WIDTH = 16;

/** When Kubernetes has swapped a volume, the links to what is no longer in it are there for a moment. */
const GRACE_MS = 1_000;

/** A file of a file system that is gone must not keep those of others from being read. */
const LIMIT_MS = 2_000;

const SUFFIX = '.json';

/** The names of the tenants that have a file, in order, and which directory it is; or what is wrong with it. */
export async function listTenantFiles(
  directory: string,
): Promise<{ names: string[]; identity: string } | { fault: string }> {
  try {
    const { dev, ino } = await stat(directory, { bigint: true });
    const names = (await readdir(directory))
      .filter((file) => file.endsWith(SUFFIX) && !file.startsWith('.'))
      .map((file) => file.slice(0, -SUFFIX.length));
    return { names: names.sort(), identity: `${dev}:${ino}` };
  } catch (error) {
    return { fault: `TENANTS_DIR names a directory that cannot be read (${codeOf(error)})` };
  }
}

/** What is known of a tenant's file since it was read. */
interface KnownFile {
  /** It, and those that it names. */
  readonly paths: readonly string[];
  readonly signature: string;
  /** Read twice with this signature: what is written again within a tick of the file system's clock keeps it. */
  readonly isSettled: boolean;
  /** By the clock; undefined: it is there. */
  readonly missingSince?: number;
}

/** Reads the files of tenants, as far as they may have changed. */
export class TenantFileReader {
  readonly #options: TenantFileReaderOptions;
  readonly #known = new Map<string, KnownFile>();
  /** Their last look has not ended. */
  readonly #busy = new Set<string>();

  constructor(options: TenantFileReaderOptions) {
    this.#options = options;
  }

  /**
   * Resolves to the content of each that may have changed since it was read last, in the order of `names`, and of each
   * that `isFaulty`, which may be half-written. What takes longer than 2 s is told as a fault, and left out until
   * that look has ended.
   */
  async read(
    names: readonly string[],
    isFaulty: (name: string) => boolean,
  ): Promise<Map<string, TenantFileContent>> {
    const found = new Map<string, TenantFileContent>();
    const signatures = new Map<string, Promise<string>>();
    const left = names.values();
    const readLeft = async () => {
      for (const name of left) {
        if (this.#busy.has(name)) continue;
        const content = await this.#inTime(this.#look(name, isFaulty(name), signatures), name);
        if (content !== undefined) found.set(name, content);
      }
    };
    await Promise.all(Array.from({ length: WIDTH }, readLeft));
    return new Map(
      names.flatMap((name) => {
        const content = found.get(name);
        return content === undefined ? [] : [[name, content]];
      }),
    );
  }

  /** The file is gone. */
  forget(name: string): void {
    this.#known.delete(name);
  }

  async #look(
    name: string,
    isFaulty: boolean,
    signatures: Map<string, Promise<string>>,
  ): Promise<TenantFileContent | undefined> {
    const known = this.#known.get(name);
    if (known?.isSettled && !isFaulty) {
      const now = await Promise.all(known.paths.map((path) => signatureOf(path, signatures)));
      if (now.join() === known.signature) return undefined;
    }
    const { directory, environment } = this.#options;
    const path = join(directory, `${name}${SUFFIX}`);
    const file = await readBounded(path);
    if (known !== undefined && file.signature === 'ENOENT') {
      const now = this.#options.clock.now();
      const { missingSince = now } = known;
      this.#known.set(name, { ...known, isSettled: false, missingSince });
      if (now - missingSince < GRACE_MS) return undefined;
    }
    const text = textOf(file);
    const named = typeof text === 'string' ? filesOfTenant(text, environment) : [];
    const others = await Promise.all(named.map(readBounded));
    const signature = [file, ...others].map((each) => each.signature).join();
    const isSettled = signature === known?.signature;
    if (file.signature !== 'ENOENT') {
      this.#known.set(name, { paths: [path, ...named], signature, isSettled });
    }
    return toContent(text, new Map(others.map((each) => [each.path, each])));
  }

  async #inTime(
    look: Promise<TenantFileContent | undefined>,
    name: string,
  ): Promise<TenantFileContent | undefined> {
    this.#busy.add(name);
    const ended = look.finally(() => this.#busy.delete(name));
    let cancel = () => {};
    const late = new Promise<TenantFileContent>((resolve) => {
      const fault = new TextFileError('cannot be read in time');
      cancel = this.#options.clock.after(LIMIT_MS, () => resolve(toContent(fault, new Map())));
    });
    return Promise.race([ended, late]).finally(cancel);
  }
}

/** A file as it was found. */
interface FoundFile {
  readonly path: string;
  readonly signature: string;
  readonly content: Uint8Array | Error;
}

/** Never rejects: what is wrong is the content. */
async function readBounded(path: string): Promise<FoundFile> {
  let signature = '';
  try {
    const stats = await stat(path, { bigint: true });
    signature = toSignature(stats);
    // A device may have no end, and a pipe no beginning.
    if (!stats.isFile())
      throw new TextFileError('is a directory, or something else that is no file');
    if (stats.size > MAX_BYTES) throw new TextFileError('is longer than 64 KiB');
    return { path, signature, content: await readFile(path) };
  } catch (error) {
    if (!(error instanceof Error)) throw error;
    const code = codeOf(error);
    // It may go between the two.
    return { path, signature: code === 'ENOENT' ? code : signature || code, content: error };
  }
}

async function signatureOf(
  path: string,
  signatures: Map<string, Promise<string>>,
): Promise<string> {
  const signature = signatures.get(path) ?? stat(path, { bigint: true }).then(toSignature, codeOf);
  signatures.set(path, signature);
  return signature;
}

/** What changes when a file does, or another comes into its place. */
function toSignature({ dev, ino, size, mtimeNs, ctimeNs }: BigIntStats): string {
  return [dev, ino, size, mtimeNs, ctimeNs].join(':');
}

function textOf({ content }: FoundFile): string | TextFileError {
  try {
    if (!(content instanceof Error)) return decodeTextFile(content);
    if (content instanceof TextFileError) return content;
    return new TextFileError(`cannot be read (${codeOf(content)})`);
  } catch (error) {
    if (error instanceof TextFileError) return error;
    throw error;
  }
}

function toContent(
  text: string | TextFileError,
  named: ReadonlyMap<string, FoundFile>,
): TenantFileContent {
  const digest = createHash('sha256').update(JSON.stringify([String(text), [...named.keys()]]));
  for (const { content } of named.values()) {
    const part = content instanceof Error ? content.message : content;
    digest.update(`\n${part.length}\n`).update(part);
  }
  return {
    digest: digest.digest('base64'),
    fault: typeof text === 'string' ? undefined : text.message,
    text: typeof text === 'string' ? text : '',
    readFile(path) {
      const content = named.get(path)?.content;
      if (content instanceof Uint8Array) return content;
      throw content ?? new Error('not read');
    },
  };
}

function codeOf(error: unknown): string {
  return error instanceof Error && 'code' in error ? String(error.code) : 'no file';
}
