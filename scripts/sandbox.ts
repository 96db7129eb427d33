import { systemClock } from '../src/lib/clock.ts';
import { startSandbox } from '../src/sandbox/sandbox.ts';

const port = process.env['PORT'] || '4001';
const sandbox = await startSandbox({ clock: systemClock, port: Number(port) }).catch(
  (error: unknown) => {
    const code = error instanceof Error && 'code' in error ? String(error.code) : 'unknown';
    process.stderr.write(`The sandbox cannot listen on PORT ${port} (${code}): take another.\n`);
    process.exit(1);
  },
);
process.stdout.write(`The sandbox listens. For a gateway that uses it as it would use a tenant:

PARTICIPANT_SERVICE_URL=${sandbox.url.origin}
PARTICIPANT_SERVICE_TENANT_ID=${sandbox.tenantId}
TOKEN_CLIENT_ID=${sandbox.credentials.clientId}
TOKEN_CLIENT_SECRET=${sandbox.credentials.clientSecret}
`);
for (const signal of ['SIGTERM', 'SIGINT'] as const) {
  process.on(signal, () => void sandbox.close().then(() => process.exit(0)));
}
