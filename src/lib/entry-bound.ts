/** The bound of an `LRUCache` of so many entries. By its own `max`, room for all of them is taken before there are some. */
export function upTo(entries: number): { maxSize: number; sizeCalculation: () => number } {
  return { maxSize: entries, sizeCalculation: () => 1 };
}
