import { readdir, readFile } from 'node:fs/promises';
import { parseEnv } from 'node:util';
import { expect, test } from 'vitest';
import { parse } from 'yaml';
import { z } from 'zod';
import { parseSettings } from '../../src/config/load.ts';
import { decodeManifest, findManifestFaults } from '../support/kubernetes.ts';

const OVERLAY = new URL('../../deploy/kubernetes-redis/', import.meta.url);
const read = (name: string) => readFile(new URL(name, OVERLAY), 'utf8');
const readManifest = async (name: string) => decodeManifest(parse(await read(name)));

const { resources, replicas, configMapGenerator, patches } = z
  .looseObject({
    resources: z.array(z.string()),
    replicas: z.array(z.strictObject({ name: z.string(), count: z.number() })),
    configMapGenerator: z.tuple([z.looseObject({ envs: z.array(z.string()) })]),
    patches: z.array(z.strictObject({ path: z.string() })),
  })
  .parse(parse(await read('kustomization.yaml')));
const own = resources.filter((name) => !name.startsWith('..'));

test('the overlay stands on the base, and names all files of its folder', async () => {
  const [{ envs }] = configMapGenerator;
  const files = ['kustomization.yaml', ...own, ...envs, ...patches.map(({ path }) => path)];
  expect(files.toSorted()).toEqual((await readdir(OVERLAY)).toSorted());
  expect(resources.filter((name) => !own.includes(name))).toEqual(['../kubernetes']);
});

test('Kubernetes accepts its manifests, by its schemas', async () => {
  expect(await findManifestFaults(await Promise.all(own.map(readManifest)))).toEqual([]);
});

test('its settings are good beside those of the base, and count the replicas that there are', async () => {
  const base = await readFile(new URL('../kubernetes/settings.env', OVERLAY), 'utf8');
  const environment = { ...parseEnv(base), ...parseEnv(await read('settings.env')) };
  const secrets: Record<string, string> = {
    '/run/secrets/redis/url': 'rediss://:a-password@participant-gateway-redis:6379',
    '/run/secrets/participant-service': 'a-secret',
  };
  const settings = parseSettings(
    {
      ...environment,
      NODE_ENV: 'production',
      TOKEN_CLIENT_SECRET_FILE: '/run/secrets/participant-service',
    },
    (path) => Buffer.from(secrets[path] ?? ''),
  );
  const [{ count } = { count: 0 }] = replicas;
  expect(settings.redis).toMatchObject({ replicas: count, keyPrefix: 'participant-gateway' });
  expect(count).toBe(3);
});

test('the server may no more than the Pod Security Standard "restricted" allows, and writes nothing', async () => {
  const redis = JSON.stringify(await readManifest('redis.yaml'));
  const { spec } = z.looseObject({ spec: z.looseObject({}) }).parse(JSON.parse(redis));
  expect(spec).toMatchObject({
    template: {
      spec: {
        automountServiceAccountToken: false,
        securityContext: { runAsNonRoot: true, seccompProfile: { type: 'RuntimeDefault' } },
        containers: [
          {
            securityContext: {
              allowPrivilegeEscalation: false,
              readOnlyRootFilesystem: true,
              capabilities: { drop: ['ALL'] },
            },
          },
        ],
      },
    },
  });
  expect(redis).toContain('"--save","","--appendonly","no"');
  expect(redis).toContain('"--port","0","--tls-port","6379"');
});
