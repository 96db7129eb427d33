import { readdir, readFile } from 'node:fs/promises';
import { parseEnv } from 'node:util';
import { expect, test } from 'vitest';
import { parse } from 'yaml';
import { z } from 'zod';
import { type Environment, parseSettings } from '../../src/config/load.ts';
import { decodeManifest, findManifestFaults } from '../support/kubernetes.ts';

const MANIFESTS = new URL('../../deploy/kubernetes/', import.meta.url);
/** Everything under way is ended by then, as docs/operations.md has it. */
const DRAIN_SECONDS = 10;

const read = (name: string) => readFile(new URL(name, MANIFESTS), 'utf8');
const readManifest = async (name: string) => decodeManifest(parse(await read(name)));

const named = z.looseObject({ name: z.string() });
const kustomization = z
  .strictObject({
    apiVersion: z.literal('kustomize.config.k8s.io/v1beta1'),
    kind: z.literal('Kustomization'),
    resources: z.array(z.string()),
    configMapGenerator: z.tuple([z.strictObject({ name: z.string(), envs: z.array(z.string()) })]),
  })
  .parse(await readManifest('kustomization.yaml'));
const [configMap] = kustomization.configMapGenerator;
const manifests = await Promise.all(kustomization.resources.map(readManifest));
const manifestOf = (kind: string) => manifests.find((manifest) => manifest.kind === kind);

const podSchema = z.looseObject({
  terminationGracePeriodSeconds: z.number(),
  volumes: z.tuple([named]),
  containers: z.tuple([
    z.looseObject({
      envFrom: z.tuple([z.strictObject({ configMapRef: named })]),
      env: z.array(z.strictObject({ name: z.string(), value: z.string() })),
      ports: z.tuple([z.strictObject({ name: z.string(), containerPort: z.number() })]),
      volumeMounts: z.tuple([z.looseObject({ name: z.string(), mountPath: z.string() })]),
    }),
  ]),
});
const labels = z.looseObject({ labels: z.record(z.string(), z.string()) });
const { template } = z
  .looseObject({ template: z.looseObject({ metadata: labels, spec: podSchema }) })
  .parse(manifestOf('Deployment')?.['spec']);
const pod = template.spec;
const [container] = pod.containers;
/** What the container's process finds in its environment, with what the Containerfile sets. */
const environment: Environment = {
  NODE_ENV: 'production',
  HOST: '0.0.0.0',
  ...parseEnv((await Promise.all(configMap.envs.map(read))).join('\n')),
  ...Object.fromEntries(container.env.map(({ name, value }) => [name, value])),
};

test('the kustomization names all files of its folder', async () => {
  const files = ['kustomization.yaml', ...kustomization.resources, ...configMap.envs];
  expect(files.toSorted()).toEqual((await readdir(MANIFESTS)).toSorted());
});

test('Kubernetes accepts the manifests, by its schemas', async () => {
  expect(manifests.map(({ kind }) => kind)).toEqual([
    'Deployment',
    'Service',
    'PodDisruptionBudget',
  ]);
  expect(await findManifestFaults(manifests)).toEqual([]);
});

test('a member that is misspelt, missing or of the wrong type is found by them', async () => {
  const metadata = { name: 'gateway' };
  const service = { apiVersion: 'v1', kind: 'Service', metadata };
  const port = { port: 80 };
  expect(
    await findManifestFaults([
      { ...service, spec: { ports: [{ ...port, targetport: 'http' }] } },
      { ...service, spec: { ports: [{ name: 'http' }] } },
      { ...service, spec: { ports: [port], selector: 'gateway' } },
    ]),
  ).toEqual([
    expect.stringContaining("'\"targetport\"' does not exist in type 'IServicePort'"),
    expect.stringContaining('Property \'"port"\' is missing'),
    expect.stringContaining("Type 'string' is not assignable to type"),
    'ValidationError: data/spec/ports/0 must have required property port',
  ]);
});

test('a pod may no more than the Pod Security Standard "restricted" allows, and writes nothing', () => {
  expect(pod).toMatchObject({
    automountServiceAccountToken: false,
    enableServiceLinks: false,
    securityContext: {
      runAsNonRoot: true,
      runAsUser: 65532,
      runAsGroup: 65532,
      fsGroup: 65532,
      seccompProfile: { type: 'RuntimeDefault' },
    },
  });
  expect(container['securityContext']).toEqual({
    allowPrivilegeEscalation: false,
    readOnlyRootFilesystem: true,
    capabilities: { drop: ['ALL'] },
  });
});

test('a pod has longer than the drain takes, and is probed where the gateway answers', () => {
  expect(pod.terminationGracePeriodSeconds).toBeGreaterThan(DRAIN_SECONDS);
  const probe = (path: string) => ({ httpGet: { path, port: container.ports[0].name } });
  expect(container).toMatchObject({
    startupProbe: probe('/livez'),
    livenessProbe: probe('/livez'),
    readinessProbe: probe('/readyz'),
  });
});

test('the settings are good, and those of production', () => {
  const settings = parseSettings(environment, () => Buffer.from('a-secret-of-a-test'));
  expect(settings).toMatchObject({
    auth: { mode: 'jwt' },
    host: '0.0.0.0',
    port: container.ports[0].containerPort,
    graphiql: false,
    introspection: false,
    participantService: { tenantId: 'acme' },
  });
  expect(settings.trustedProxies).not.toEqual([]);
});

test('what the manifests refer to is there: settings, secret, port and labels', () => {
  expect(container.envFrom[0].configMapRef.name).toBe(configMap.name);
  const [mount] = container.volumeMounts;
  expect(pod.volumes[0].name).toBe(mount.name);
  expect(environment['TOKEN_CLIENT_SECRET_FILE']).toBe(`${mount.mountPath}/participant-service`);
  const { labels: matchLabels } = template.metadata;
  expect(manifestOf('Deployment')?.['spec']).toMatchObject({ selector: { matchLabels } });
  expect(manifestOf('PodDisruptionBudget')?.['spec']).toMatchObject({ selector: { matchLabels } });
  expect(manifestOf('Service')?.['spec']).toEqual({
    selector: matchLabels,
    ports: [{ name: 'http', port: 80, targetPort: container.ports[0].name }],
  });
});
