import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { TenantFileContent } from '../../src/config/tenant-file-reader.ts';
import { TenantsInForce } from '../../src/config/tenants-in-force.ts';

const ENVIRONMENT = { TENANTS_DIR: '/t', AUTH_MODE: 'none', TRUSTED_PROXIES: '127.0.0.1' };

/** A tenant's file, by its Host; undefined: one that is faulty. */
function contentOf(name: string, host: string | undefined): TenantFileContent {
  const text = JSON.stringify({
    PARTICIPANT_SERVICE_URL: 'https://tenants.example',
    PARTICIPANT_SERVICE_TENANT_ID: name,
    TOKEN_CLIENT_ID: 'gateway',
    TOKEN_CLIENT_SECRET_FILE: 'secret',
    ...(host !== undefined && { TENANT_HOSTS: host }),
  });
  return { digest: text, fault: undefined, text, readFile: () => Buffer.from('a-secret') };
}

type Hosts = Readonly<Record<string, string | undefined>>;

function createTenants() {
  const events: string[] = [];
  const inForce = new TenantsInForce(ENVIRONMENT, {
    onChanged: (name, tenant) =>
      events.push(`${name} ${tenant?.settings.tenantHosts ?? 'removed'}`),
    onFault: (name) => events.push(`${name} faulty`),
    onRepaired: (name) => events.push(`${name} repaired`),
  });
  return {
    inForce,
    hosts: (): Hosts =>
      Object.fromEntries(
        [...inForce.tenants].map(([name, { settings }]) => [name, settings.tenantHosts[0]]).sort(),
      ),
    /** All files, as they are now; resolves to what was told. */
    async see(files: Hosts): Promise<string[]> {
      inForce.removeOthersThan(Object.keys(files));
      const contents = Object.entries(files).map(
        ([name, host]) => [name, contentOf(name, host)] as const,
      );
      await inForce.judge(new Map(contents));
      return events.splice(0);
    },
  };
}

test('what is the same is not told again; a fault is told once for each change', async () => {
  const { see } = createTenants();
  expect(await see({ a: 'a.test', b: undefined })).toEqual(['a a.test', 'b faulty']);
  expect(await see({ a: 'a.test', b: undefined })).toEqual([]);
  expect(await see({ a: undefined, b: 'a.test:443' })).toEqual(['a faulty', 'b faulty']);
  expect(await see({ a: 'a.test', b: 'b.test' })).toEqual(['a repaired', 'b b.test', 'b repaired']);
  expect(await see({ b: 'b.test' })).toEqual(['a removed']);
  expect(await see({ a: undefined, b: 'b.test' })).toEqual(['a faulty']);
  expect(await see({ b: 'b.test' })).toEqual(['a repaired']);
});

test('two tenants can change places, and one can take what another gives up, in one change', async () => {
  const { see, hosts } = createTenants();
  await see({ a: 'a.test', b: 'b.test', c: 'c.test' });
  expect(await see({ a: 'b.test', b: 'a.test', c: 'c.test' })).toEqual(['a b.test', 'b a.test']);
  expect(await see({ a: 'c.test', b: 'a.test', c: 'd.test' })).toEqual(['a c.test', 'c d.test']);
  expect(await see({ b: 'a.test', c: 'c.test' })).toEqual(['a removed', 'c c.test']);
  expect(hosts()).toEqual({ b: 'a.test', c: 'c.test' });
});

test('one that keeps its old self keeps its Host from those that want it', async () => {
  const { see, hosts } = createTenants();
  await see({ a: 'a.test', b: 'b.test', c: 'c.test' });
  expect(await see({ a: 'b.test', b: 'c.test', c: undefined })).toEqual([
    'a faulty',
    'b faulty',
    'c faulty',
  ]);
  expect(hosts()).toEqual({ a: 'a.test', b: 'b.test', c: 'c.test' });
  expect(await see({ a: 'b.test', b: 'c.test', c: 'd.test' })).toEqual([
    'a b.test',
    'a repaired',
    'b c.test',
    'b repaired',
    'c d.test',
    'c repaired',
  ]);
});

test('at the start, the first by name has what two want', async () => {
  const { see, inForce } = createTenants();
  expect(await see({ a: 'x.test', b: 'x.test' })).toEqual(['a x.test', 'b faulty']);
  expect(inForce.faults.get('b')).toMatch(
    /^The tenant's file b\.json is faulty:\n {2}TENANT_HOSTS has x\.test, which means tenant a; it accepts [^\n]+$/,
  );
  expect(await see({ b: 'x.test' })).toEqual(['a removed', 'b x.test', 'b repaired']);
});

test('whatever changes, no Host means two tenants, each has its last good self, and what can be in force is', async () => {
  const names = ['a', 'b', 'c', 'd'];
  const host = fc.constantFrom(undefined, 'p.test', 'q.test', 'r.test', 's.test', 'q.test:8000');
  const step = fc.dictionary(fc.constantFrom(...names), host);
  let conflicts = 0;
  await fc.assert(
    fc.asyncProperty(fc.array(step, { minLength: 1, maxLength: 6 }), async (steps) => {
      const { see, hosts, inForce } = createTenants();
      for (const unsorted of steps) {
        const files: Hosts = Object.fromEntries(Object.entries(unsorted).sort());
        const before = hosts();
        await see(files);
        const now = hosts();
        const bare = Object.values(now).map((each) => each?.replace(':8000', ''));
        expect(new Set(bare).size).toBe(bare.length);
        for (const name of names) {
          if (!(name in files)) expect(now[name]).toBeUndefined();
          else if (inForce.faults.has(name)) expect(now[name]).toBe(before[name]);
          else expect(now[name]).toBe(files[name]);
          if (name in files && files[name] === undefined)
            expect(inForce.faults.has(name)).toBe(true);
        }
        const taken = new Set(bare);
        for (const name of inForce.faults.keys()) {
          const wanted = files[name];
          if (wanted === undefined) continue;
          conflicts += 1;
          expect(taken).toContain(wanted.replace(':8000', ''));
        }
      }
    }),
    { numRuns: 200 },
  );
  expect(conflicts).toBeGreaterThan(100);
});
