import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { expect, test } from 'vitest';
import { parseAllDocuments } from 'yaml';
import { decodeManifest, findManifestFaults } from '../support/kubernetes.ts';

test('kubectl puts the manifests together, with the settings as a ConfigMap, and Kubernetes accepts them', async () => {
  const folder = fileURLToPath(new URL('../../deploy/kubernetes/', import.meta.url));
  const { stdout } = await promisify(execFile)('kubectl', ['kustomize', folder]);
  const manifests = parseAllDocuments(stdout).map((document) => decodeManifest(document.toJS()));

  expect(manifests.map(({ kind }) => kind).toSorted()).toEqual([
    'ConfigMap',
    'Deployment',
    'PodDisruptionBudget',
    'Service',
  ]);
  const settings = /name: (participant-gateway-\w+)\n/.exec(stdout)?.[1];
  const deployment = manifests.find(({ kind }) => kind === 'Deployment');
  expect(deployment).toMatchObject({
    spec: {
      template: {
        spec: {
          containers: [
            {
              image: 'registry.example.com/participant-gateway:0.2.0',
              envFrom: [{ configMapRef: { name: settings } }],
            },
          ],
        },
      },
    },
  });
  expect(await findManifestFaults(manifests)).toEqual([]);
});
