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
 * White space around it is not part of it. Rejects when the file cannot be read or is empty.
 */
export function secretFromFile(
  path: string,
  readFile: (path: string) => Promise<string>,
): ClientSecret {
  let known: string | undefined;

  async function read(): Promise<string> {
    const secret = (await readFile(path)).trim();
    if (secret === '') throw new Error('the file of the client secret is empty');
    return secret;
  }

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
