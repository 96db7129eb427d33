/** The label of every name that has none of its own. */
export const OTHER = 'other';

/**
 * Names that are labels of metrics: at most so many, because each has series of its own, and those that came first.
 * Only names that no client can make up may be added.
 */
export class KnownNames {
  readonly #max: number;
  readonly #names = new Set<string>();

  constructor(max: number, names: Iterable<string> = []) {
    this.#max = max;
    for (const name of names) this.add(name);
  }

  add(name: string): void {
    if (this.#names.size < this.#max) this.#names.add(name);
  }

  labelOf(name: string): string {
    return this.#names.has(name) ? name : OTHER;
  }

  /** Of all that are known, and of the others. */
  labels(): readonly string[] {
    return [...this.#names, OTHER];
  }
}
