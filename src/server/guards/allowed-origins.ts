/** The origins whose pages may call the gateway, as CORS_ORIGINS lists them. */
export class AllowedOrigins {
  readonly #origins: ReadonlySet<string>;
  readonly #hasPatterns: boolean;

  /** Each as a browser sends it, or with `*` for the first label of its host: `https://*.example.com`. */
  constructor(origins: Iterable<string>) {
    this.#origins = new Set(origins);
    this.#hasPatterns = [...this.#origins].some((origin) => origin.includes('*'));
  }

  /** Whether an origin, as it came in a request, is among them. */
  has(origin: string): boolean {
    if (this.#hasPatterns) {
      const [, parent] = FIRST_LABEL.exec(origin) ?? [];
      if (parent !== undefined && this.#origins.has(`https://*${parent}`)) return true;
    }
    return this.#origins.has(origin) && !origin.includes('*');
  }
}

const FIRST_LABEL = /^https:\/\/[a-z\d](?:[a-z\d-]{0,61}[a-z\d])?(\..+)$/;
