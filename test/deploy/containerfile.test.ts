import { glob, readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';

const ROOT = new URL('../../', import.meta.url);
const text = await readFile(new URL('Containerfile', ROOT), 'utf8');

/** The instructions of each stage, in order. */
const [, build = [], image = []] = text
  .replaceAll(/^#.*\n/gm, '')
  .replaceAll('\\\n', '')
  .split(/^(?=FROM )/m)
  .map((stage) => stage.trim().split('\n'));

const textOf = (instruction: string) =>
  image.find((line) => line.startsWith(`${instruction} `))?.slice(instruction.length + 1) ?? '';

test('the image runs as a user without a name, and starts the gateway without a shell', () => {
  expect(textOf('USER')).toBe('65532:65532');
  expect(JSON.parse(textOf('ENTRYPOINT'))).toEqual([
    '/nodejs/bin/node',
    '--v8-pool-size=1',
    '--max-semi-space-size=16',
    '--initial-old-space-size=96',
    '/app/bin/participant-gateway.js',
  ]);
  expect(JSON.parse(textOf('CMD'))).toEqual(['serve']);
  expect(image.filter((line) => /^(?:RUN|ADD|SHELL) /.test(line))).toEqual([]);
});

test('the image is healthy where the gateway itself says so', () => {
  const [, command = ''] = / CMD (\[.*\])$/.exec(textOf('HEALTHCHECK')) ?? [];
  expect(JSON.parse(command)).toEqual([
    '/nodejs/bin/node',
    '/app/bin/participant-gateway.js',
    'health',
  ]);
});

test('the image has the settings of production, and the port that it names', () => {
  expect(textOf('ENV')).toBe('NODE_ENV=production HOST=0.0.0.0 PORT=4000');
  expect(textOf('EXPOSE')).toBe('4000');
});

test('V8 has the same bounds and threads in the image, with npm start and, as far as NODE_OPTIONS takes them, under systemd', async () => {
  const flagsIn = async (file: string) => {
    const content = await readFile(new URL(file, ROOT), 'utf8');
    return content.match(/--(?:v8-pool|max-semi-space|initial-old-space)-size=\d+/g)?.sort();
  };
  const ofNodeOptions = ['--max-semi-space-size=16', '--v8-pool-size=1'];
  const all = ['--initial-old-space-size=96', ...ofNodeOptions];
  expect(await flagsIn('package.json')).toEqual(all);
  expect(await flagsIn('Containerfile')).toEqual(all);
  expect(await flagsIn('deploy/systemd/participant-gateway@.service')).toEqual(ofNodeOptions);
  // The image's.
  expect(await flagsIn('deploy/kubernetes/deployment.yaml')).toBeUndefined();
});

test('the image has what was built alone, and the build what it names: no folder as a whole', async () => {
  const copies = (stage: string[]) =>
    stage.filter((line) => line.startsWith('COPY ')).map((line) => line.split(' ').slice(1));
  expect(copies(image)).toEqual([['--from=build', '/package', './']]);
  const sources = copies(build).flatMap((paths) => paths.slice(0, -1));
  expect(sources).toContain('src');
  expect(sources).not.toContain('.');
  for (const path of sources) {
    const found: string[] = [];
    for await (const name of glob(path, { cwd: fileURLToPath(ROOT) })) found.push(name);
    expect([path, found.length > 0]).toEqual([path, true]);
  }
});
