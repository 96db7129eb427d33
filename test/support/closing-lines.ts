import type { Reporter, TestModule } from 'vitest/node';
import { findChromium } from '../../scripts/find-chromium.ts';
import { findNginx } from '../../scripts/find-nginx.ts';
import { findProgram } from '../../scripts/find-program.ts';
import { findPromtool } from '../../scripts/find-promtool.ts';
import { findRedis } from '../../scripts/find-redis.ts';

const AS_ROOT = '`npm run test:prepare` installs it only as root, with apt-get.';

/** Programs that are no packages of npm, and the files whose tests need them, by the end of their names. */
const PROGRAMS = [
  { tests: 'Browser tests', end: '.browser.test.ts', program: 'chromium', path: findChromium() },
  { tests: 'Tests of deploy/nginx', end: '.nginx.test.ts', program: 'nginx', path: findNginx() },
  {
    tests: 'Tests by promtool',
    end: '.promtool.test.ts',
    program: 'promtool',
    path: findPromtool(),
  },
  {
    tests: 'Tests of replicas on Redis',
    end: '.redis.test.ts',
    program: 'redis-server',
    path: findRedis(),
  },
  {
    tests: "kubectl's tests",
    end: '.kubectl.test.ts',
    program: 'kubectl',
    path: findProgram('kubectl'),
    advice: 'The manifests are checked without it, too.',
  },
  {
    tests: "systemd's tests",
    end: '.systemd.test.ts',
    program: 'systemd-analyze',
    path: findProgram('systemd-analyze'),
    advice: 'The unit is checked without it, too.',
  },
];

/** The files whose tests cannot be run here. */
export const LEFT_OUT = PROGRAMS.filter(({ path }) => path === undefined).map(
  ({ end }) => `test/**/*${end}`,
);

/** Says at the end which tests were run with what is no package of npm, and which were left out, and why. */
export class ClosingLines implements Reporter {
  onTestRunEnd(modules: readonly TestModule[]): void {
    for (const { tests, end, program, path, advice = AS_ROOT } of PROGRAMS) {
      if (path === undefined) {
        process.stdout.write(
          ` ${tests} were LEFT OUT: there is no ${program} on the PATH. ${advice}\n\n`,
        );
      } else if (modules.some(({ moduleId }) => moduleId.endsWith(end))) {
        process.stdout.write(` ${tests} were run with ${path}.\n\n`);
      }
    }
  }
}
