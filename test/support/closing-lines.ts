import type { Reporter, TestModule } from 'vitest/node';
import { findChromium } from '../../scripts/find-chromium.ts';

/** Files whose tests need Chromium. */
export const BROWSER_TESTS = 'test/**/*.browser.test.ts';

/** Says at the end whether the tests in a browser were run, and where not, why. */
export class ClosingLines implements Reporter {
  onTestRunEnd(modules: readonly TestModule[]): void {
    const ran = modules.some(({ moduleId }) => moduleId.endsWith('.browser.test.ts'));
    const chromium = findChromium();
    if (chromium === undefined) {
      process.stdout.write(
        ' Browser tests were LEFT OUT: there is no chromium on the PATH. `npm run test:prepare` installs it only as root, with apt-get.\n\n',
      );
    } else if (ran) {
      process.stdout.write(` Browser tests were run in ${chromium}.\n\n`);
    }
  }
}
