import { SettingsError } from '../config/load.ts';
import type { ParticipantServiceSettings, Settings } from '../config/settings.ts';
import { parseBatchKey } from '../core/batch-key.ts';
import type { Clock } from '../lib/clock.ts';
import { Turns } from '../lib/turns.ts';
import {
  createIssuerClient,
  createServiceCall,
  createStatusClient,
  createTokenClient,
  findRouteOf,
  keySourceOf,
  openService,
  tokenSourceOf,
} from '../tenants/services.ts';
import { inspectTls, type Look, type LookUp, lookUpName, openConnection } from './connection.ts';
import { examineKeys } from './keys.ts';
import { type Finding, type Report, type Step, type StepName, toReport } from './report.ts';
import { type BatchToAsk, examineStatus } from './status.ts';
import { examineToken } from './token.ts';

interface ExaminationOptions {
  /** Throws a {@link SettingsError} when they are faulty. */
  readSettings: () => Settings;
  clock: Clock;
  lookUp: LookUp;
  /** What to ask for; undefined: a type that the settings name, or else vehicles. */
  participantType: string | undefined;
  batchId: string | undefined;
}

/**
 * Goes the way from the settings to a batch's status, as the gateway would, and says of each step whether
 * it works and what to do if not. What a failed step would lead to is skipped. Changes nothing anywhere;
 * asks for one token (two where the first way is refused), one status, and the keys of callers' tokens
 * where the settings name an issuer. Rejects with an `FieldError` where there can be no
 * such batch.
 */
export async function examine(options: ExaminationOptions): Promise<Report> {
  const { clock, lookUp } = options;
  const record = createRecord(clock);
  const { settings } = await record.take('settings', async () =>
    examineSettings(options.readSettings),
  );
  if (settings === undefined) {
    record.skip(['dns', 'tcp', 'tls', 'token', 'status'], 'the settings are faulty');
  } else {
    const batch = batchToAsk(options, settings);
    const { service, close } = await openService(settings, clock);
    const look = {
      clock,
      lookUp,
      timeoutMs: settings.upstreamTimeoutMs,
      findRoute: findRouteOf(settings),
    };
    await examineUpstream(settings, service, batch, look, record).finally(close);
    await examineIssuer(settings, clock, record);
  }
  return toReport(record.steps);
}

/** The steps that were run so far. */
interface StepRecord {
  readonly steps: readonly Step[];
  /** Takes a step, and resolves to what it found. */
  take<T extends Finding>(name: StepName, look: () => Promise<T>): Promise<T>;
  skip(names: readonly StepName[], message: string): void;
}

function createRecord(clock: Clock): StepRecord {
  const steps: Step[] = [];
  return {
    steps,
    async take(name, look) {
      const begunAt = clock.now();
      const found = await look();
      const { verdict, message, advice, facts = {} } = found;
      const durationMs = Math.round(clock.now() - begunAt);
      steps.push({ name, verdict, message, ...(advice && { advice }), durationMs, facts });
      return found;
    },
    skip(names, message) {
      for (const name of names) {
        steps.push({ name, verdict: 'skipped', message, durationMs: 0, facts: {} });
      }
    },
  };
}

async function examineUpstream(
  settings: Settings,
  service: ParticipantServiceSettings,
  batch: BatchToAsk,
  look: Look,
  record: StepRecord,
): Promise<void> {
  const { clock } = look;
  const serviceConnects = await examineConnection(service.url, look, record);
  const tokenUrl = tokenUrlOf(service);
  const tokensConnect =
    tokenUrl.origin === service.url.origin
      ? serviceConnects
      : await examineConnection(tokenUrl, look, record);
  if (!tokensConnect) {
    return record.skip(['token', 'status'], `${tokenUrl.host} is out of reach`);
  }
  const tokenClient = createTokenClient(settings, clock);
  const { token } = await record
    .take('token', () => examineToken(service, tokenClient.send, clock, settings.auth))
    .finally(() => tokenClient.close());
  if (token === undefined || !serviceConnects) {
    return record.skip(
      ['status'],
      token ? `${service.url.host} is out of reach` : 'there is no token',
    );
  }
  const statusClient = createStatusClient(settings, clock);
  const call = createServiceCall(service, settings, statusClient, {
    clock,
    turns: new Turns(),
    onRenewal() {},
  });
  await record
    .take('status', () =>
      examineStatus(batch, call, { ...token, askedAt: clock.now() }, settings.finishedStatuses),
    )
    .finally(() => statusClient.close());
}

/** Resolves to whether HTTP can be spoken with it. */
async function examineConnection(url: URL, look: Look, record: StepRecord): Promise<boolean> {
  if ((await record.take('dns', () => lookUpName(url, look))).verdict === 'failed') {
    record.skip(['tcp', 'tls'], `there is no address of ${url.hostname}`);
    return false;
  }
  if ((await record.take('tcp', () => openConnection(url, look))).verdict === 'failed') {
    record.skip(['tls'], `there is no connection to ${url.host}`);
    return false;
  }
  return (await record.take('tls', () => inspectTls(url, look))).verdict !== 'failed';
}

/** The sandbox is its own issuer, unless one is set. */
async function examineIssuer(settings: Settings, clock: Clock, record: StepRecord): Promise<void> {
  const source = keySourceOf(settings.auth);
  if (source === undefined) return;
  const client = createIssuerClient(settings, clock);
  await record
    .take('keys', () => examineKeys(source, settings.auth.algorithms, client.send))
    .finally(() => client.close());
}

interface SettingsFinding extends Finding {
  settings: Settings | undefined;
}

function examineSettings(readSettings: () => Settings): SettingsFinding {
  try {
    const settings = readSettings();
    const { participantService: service, unknownVariables } = settings;
    const tenant =
      service === undefined
        ? 'no PARTICIPANT_SERVICE_URL: the sandbox stands for it'
        : `tenant ${service.tenantId} at ${service.url.origin}, tokens by ${service.token.grant}`;
    const found = {
      settings,
      message: [tenant, ...describeNetwork(settings)].join('\n'),
      facts: { sandbox: service === undefined, unknownVariables },
    };
    if (unknownVariables.length === 0) return { ...found, verdict: 'ok' };
    const advice = `No settings, although they look like it: ${unknownVariables.join(', ')}. See docs/settings.md.`;
    return { ...found, verdict: 'warning', advice };
  } catch (error) {
    if (!(error instanceof SettingsError)) throw error;
    const advice = 'Each setting is described in .env.example.';
    return { settings: undefined, verdict: 'failed', message: error.message, advice };
  }
}

/** Which way it goes to whom, and with which certificate; nothing where all is reached straight. */
function describeNetwork(settings: Settings): string[] {
  const { network, participantService: service } = settings;
  const { proxy, clientCertificate } = network;
  const findRoute = findRouteOf(settings);
  const keys = keySourceOf(settings.auth);
  const urls = [
    ...(service === undefined ? [] : [service.url, tokenUrlOf(service)]),
    ...(keys === undefined ? [] : ['jwksUrl' in keys ? keys.jwksUrl : new URL(keys.issuer)]),
  ];
  const hosts = (proxied: boolean) => {
    const found = urls.filter((url) => (findRoute(url).proxy !== undefined) === proxied);
    return [...new Set(found.map(({ host }) => host))].join(', ') || 'nothing';
  };
  const until = clientCertificate?.validUntil.toISOString().slice(0, 10);
  return [
    ...(proxy === undefined
      ? []
      : [`through the proxy ${proxy.host}: ${hosts(true)}; straight: ${hosts(false)}`]),
    ...(clientCertificate === undefined
      ? []
      : [`client certificate of ${clientCertificate.subject}, until ${until}`]),
  ];
}

/** Where the first request for a token goes. */
function tokenUrlOf(service: ParticipantServiceSettings): URL {
  const source = tokenSourceOf(service);
  return 'endpoint' in source ? source.endpoint : source.issuer;
}

function batchToAsk(
  { participantType, batchId }: ExaminationOptions,
  { participantTypes }: Settings,
): BatchToAsk {
  const [first = 'vehicles'] = participantTypes;
  return {
    key: parseBatchKey(participantType ?? first, batchId ?? null, participantTypes),
    chosen: participantType !== undefined || batchId !== undefined,
  };
}
