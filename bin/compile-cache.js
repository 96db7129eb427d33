import { lstatSync, mkdirSync, realpathSync } from 'node:fs';
import { enableCompileCache } from 'node:module';
import { homedir } from 'node:os';
import { dirname, isAbsolute, join } from 'node:path';

/**
 * Keeps compiled code for the next start, which is twice as fast then: in `participant-gateway` below XDG_CACHE_HOME,
 * by default `~/.cache`. What is there is executed. So the folder has to be the user's own and closed to others, and
 * nobody else may be able to put another in its place; or nothing is kept. NODE_COMPILE_CACHE, which Node itself reads
 * before any of this, and NODE_DISABLE_COMPILE_CACHE stand.
 */
export function enablePrivateCompileCache() {
  try {
    const folder = join(cacheHome(), 'participant-gateway');
    mkdirSync(folder, { recursive: true, mode: 0o700 });
    // Without links, which somebody might point elsewhere later on.
    const path = realpathSync(folder);
    if (isPrivate(folder) && isSafe(dirname(path))) enableCompileCache(path);
  } catch {
    // No home, or none that can be written: it is only slower.
  }
}

function cacheHome() {
  const { XDG_CACHE_HOME: given = '' } = process.env;
  // By its specification, a relative path is to be ignored.
  const folder = isAbsolute(given) ? given : join(homedir(), '.cache');
  if (!isAbsolute(folder)) throw new Error('there is no home');
  return folder;
}

// Undefined on Windows, where modes tell nothing: no folder is private there.
const user = process.getuid?.();

/** @param {string} folder It is no link. */
function isPrivate(folder) {
  const stats = lstatSync(folder);
  return stats.isDirectory() && stats.uid === user && (stats.mode & 0o077) === 0;
}

/**
 * Whether nobody but the user and root can rename what is in a folder, or in one above it.
 *
 * @param {string} folder Without links.
 * @returns {boolean}
 */
function isSafe(folder) {
  const { uid, mode } = lstatSync(folder);
  const isOwn = uid === user || uid === 0;
  const isSticky = (mode & 0o1000) !== 0;
  if (!isOwn || ((mode & 0o022) !== 0 && !isSticky)) return false;
  return folder === dirname(folder) || isSafe(dirname(folder));
}
