import type { LRUCache } from 'lru-cache';

/** Deletes what is kept under keys that are JSON arrays and begin with a tenant. */
export function deleteOfTenant<Entry extends object | number>(
  entries: LRUCache<string, Entry>,
  tenantId: string,
): void {
  const beginning = `[${JSON.stringify(tenantId)},`;
  for (const key of [...entries.keys()]) if (key.startsWith(beginning)) entries.delete(key);
}
