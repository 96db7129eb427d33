import { execFile } from 'node:child_process';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { expect, test } from 'vitest';
import { parseAllDocuments } from 'yaml';
import { z } from 'zod';
import { decodeManifest, findManifestFaults } from '../support/kubernetes.ts';

const ROOT = new URL('../../', import.meta.url);

test('the overlay of docs/deploy.md sets image and settings, and Kubernetes accepts what kubectl makes of it', async () => {
  const text = await readFile(new URL('docs/deploy.md', ROOT), 'utf8');
  const [, overlay = ''] = /```yaml\n(.*?)```/s.exec(text) ?? [];
  const folder = await mkdtemp(join(tmpdir(), 'overlay-'));
  const base = relative(folder, fileURLToPath(new URL('deploy/kubernetes', ROOT)));
  await writeFile(
    join(folder, 'kustomization.yaml'),
    overlay.replace('../deploy/kubernetes', base),
  );
  await writeFile(join(folder, 'acme.env'), 'PARTICIPANT_TYPES=trailers\n');
  const { stdout } = await promisify(execFile)('kubectl', ['kustomize', folder]);
  await rm(folder, { recursive: true });

  const manifests = parseAllDocuments(stdout).map((document) => decodeManifest(document.toJS()));
  const [settings, service, deployment, budget] = manifests;
  expect([service?.kind, budget?.kind]).toEqual(['Service', 'PodDisruptionBudget']);
  expect(settings).toMatchObject({
    kind: 'ConfigMap',
    metadata: { name: expect.stringMatching(/^participant-gateway-\w+$/) },
    data: { AUTH_MODE: 'jwt', PARTICIPANT_TYPES: 'trailers' },
  });
  const image = 'registry.acme.example/participant-gateway:0.2.0';
  const { name } = z.looseObject({ name: z.string() }).parse(settings?.['metadata']);
  const containers = [{ image, envFrom: [{ configMapRef: { name } }] }];
  expect(deployment).toMatchObject({
    kind: 'Deployment',
    spec: { template: { spec: { containers } } },
  });
  expect(await findManifestFaults(manifests)).toEqual([]);
});

test('kubectl puts three replicas and Redis together, and Kubernetes accepts what it makes of them', async () => {
  const overlay = fileURLToPath(new URL('deploy/kubernetes-redis', ROOT));
  const { stdout } = await promisify(execFile)('kubectl', ['kustomize', overlay]);
  const manifests = parseAllDocuments(stdout).map((document) => decodeManifest(document.toJS()));
  const find = (kind: string, name: RegExp) =>
    manifests.find(({ kind: other, metadata }) => {
      return other === kind && name.test(String(Reflect.get(Object(metadata), 'name')));
    });
  expect(manifests.map(({ kind }) => kind).toSorted()).toEqual([
    'ConfigMap',
    'Deployment',
    'Deployment',
    'NetworkPolicy',
    'PodDisruptionBudget',
    'Service',
    'Service',
  ]);
  expect(find('ConfigMap', /^participant-gateway-/)).toMatchObject({
    data: { AUTH_MODE: 'jwt', REPLICAS: '3', REDIS_URL_FILE: '/run/secrets/redis/url' },
  });
  const secret = (name: string) => ({ name, secret: { defaultMode: 288 } });
  expect(find('Deployment', /^participant-gateway$/)).toMatchObject({
    spec: {
      replicas: 3,
      template: {
        spec: {
          containers: [
            {
              env: [{ name: 'TOKEN_CLIENT_SECRET_FILE' }, { name: 'NODE_OPTIONS' }],
              volumeMounts: expect.arrayContaining([
                { name: 'redis', mountPath: '/run/secrets/redis', readOnly: true },
                expect.objectContaining({ name: 'secrets' }),
              ]),
            },
          ],
          volumes: [secret('redis'), secret('secrets')],
        },
      },
    },
  });
  expect(await findManifestFaults(manifests)).toEqual([]);
});
