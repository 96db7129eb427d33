import { readFile } from 'node:fs/promises';
import { parseEnv } from 'node:util';
import { expect, test } from 'vitest';
import { parseSettings } from '../../src/config/load.ts';
import { readDirectives, readUnitEnvironment, UNIT } from '../support/systemd-unit.ts';

/** Everything under way is ended by then, as docs/operations.md has it. */
const DRAIN_SECONDS = 10;
/** What the process has open besides connections, as docs/operations.md has it. */
const OTHER_FILES = 100;

const service = await readDirectives('Service');
const directive = (name: string) => service.find(([key]) => key === name)?.[1];
const settings = parseSettings(
  {
    ...(await readUnitEnvironment(4001, '/run/credentials/participant-gateway@4001.service')),
    ...parseEnv(await readFile(new URL('participant-gateway.env', UNIT), 'utf8')),
  },
  () => Buffer.from('a-secret-of-a-test'),
);

test("the unit's settings are good, those of production, and lead to the secret that systemd provides", () => {
  expect(settings).toMatchObject({
    auth: { mode: 'jwt' },
    host: '127.0.0.1',
    port: 4001,
    graphiql: false,
    introspection: false,
    trustedProxies: ['127.0.0.1'],
    participantService: {
      tenantId: 'acme',
      token: {
        clientSecret: {
          file: '/run/credentials/participant-gateway@4001.service/participant-service',
        },
      },
    },
  });
  expect(directive('LoadCredential')).toMatch(/^participant-service:\/etc\/participant-gateway\//);
});

test('the unit has an account of its own, files enough, and longer than the drain takes', () => {
  expect(directive('DynamicUser')).toBe('yes');
  expect(Number(directive('TimeoutStopSec'))).toBeGreaterThan(DRAIN_SECONDS);
  expect(Number(directive('LimitNOFILE'))).toBeGreaterThan(
    settings.sockets.maxSockets + settings.upstreamMaxConnections + OTHER_FILES,
  );
});

test('the unit may write nowhere, has no capability, and only the system calls of a service', () => {
  expect(Object.fromEntries(service)).toMatchObject({
    ProtectSystem: 'strict',
    ProtectHome: 'yes',
    PrivateTmp: 'yes',
    NoNewPrivileges: 'yes',
    CapabilityBoundingSet: '',
  });
  expect(service.filter(([name]) => name === 'SystemCallFilter')).toEqual([
    ['SystemCallFilter', '@system-service'],
    ['SystemCallFilter', '~@privileged @resources'],
  ]);
});
