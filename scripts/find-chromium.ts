import { findProgram } from './find-program.ts';

/** Chromium without any window is the quickest. */
const NAMES = ['chromium-headless-shell', 'chromium', 'chromium-browser', 'google-chrome'];

/** The path of the system's Chromium or Chrome; undefined where there is none on the PATH. */
export function findChromium(): string | undefined {
  return NAMES.map((name) => findProgram(name)).find((path) => path !== undefined);
}
