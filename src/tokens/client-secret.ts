import { decodeSecretFile } from '../lib/text-file.ts';

/** Where the client secret comes from. */
export interface ClientSecret {
  current(): Promise<string>;
  /** Looks again at where the secret comes from; true when it is another one now. */
  reread(): Promise<boolean>;
}

/** A secret that was given as it is. */
export function fixedSecret(value: string): ClientSecret {
  return {
    current: async () => value,
    reread: async () => false,
  };
}

/**
 * A secret in a file, as orchestrators mount it. It is read when first needed and kept; after the
 * credentials were refused, {@link ClientSecret.reread} picks up a new one without a restart.
 * White space around it is not part of it. Rejects when the file cannot be read, and with a `TextFileError` for what
 * can be no secret: see {@link decodeSecretFile}.
 */
export function secretFromFile(
  path: string,
  readFile: (path: string) => Promise<Uint8Array>,
): ClientSecret {
  let known: string | undefined;

  const read = async () => decodeSecretFile(await readFile(path));

  return {
    async current() {
      known ??= await read();
      return known;
    },
    async reread() {
      const before = known;
      known = await read();
      return known !== before;
    },
  };
}
