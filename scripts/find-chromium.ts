import { findProgram } from './find-program.ts';

/** The path of the system's Chromium or Chrome; undefined where there is none on the PATH. */
export function findChromium(): string | undefined {
  return findProgram('chromium') ?? findProgram('chromium-browser') ?? findProgram('google-chrome');
}
