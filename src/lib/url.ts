/** The URL of `path` (with a leading slash) below `base`, whose own path, if it has one, stays as a prefix. */
export function urlBelow(base: URL, path: string): URL {
  const url = new URL(base);
  url.pathname = base.pathname.replace(/\/+$/, '') + path;
  return url;
}
