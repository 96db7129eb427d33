import type { Clock } from '../clock.ts';
import {
  createServiceEndpoint,
  createStatusNetwork,
  createTokenNetwork,
  openService,
  tokenSourceOf,
} from '../participant-service.ts';
import { parseBatchKey } from '../participants/batch-key.ts';
import { type ParticipantServiceSettings, type Settings, SettingsError } from '../settings.ts';
import { inspectTls, type Look, lookUpName, openConnection } from './connection.ts';
import { type Finding, type Report, type Step, type StepName, toReport } from './report.ts';
import { type BatchToAsk, examineStatus } from './status.ts';
import { examineToken } from './token.ts';

export interface ExaminationOptions {
  /** Throws a {@link SettingsError} when they are faulty. */
  readSettings: () => Settings;
  clock: Clock;
  /** What to ask for; undefined: a type that the settings name, or else vehicles. */
  participantType: string | undefined;
  batchId: string | undefined;
}

/**
 * Goes the way from the settings to a batch's status, as the gateway would, and says of each step whether
 * it works and what to do if not. What a failed step would lead to is skipped. Changes nothing anywhere;
 * asks for one token (two where the first way is refused) and one status. Rejects with an
 * {@link InvalidArgumentError} where there can be no such batch.
 */
export async function examine(options: ExaminationOptions): Promise<Report> {
  const { clock } = options;
  const steps: Step[] = [];

  async function take<T extends Finding>(name: StepName, look: () => Promise<T>): Promise<T> {
    const begunAt = clock.now();
    const found = await look();
    const { verdict, message, advice, facts = {} } = found;
    const durationMs = Math.round(clock.now() - begunAt);
    steps.push({ name, verdict, message, ...(advice && { advice }), durationMs, facts });
    return found;
  }
  function skip(names: StepName[], message: string): void {
    for (const name of names) {
      steps.push({ name, verdict: 'skipped', message, durationMs: 0, facts: {} });
    }
  }
  async function connects(url: URL, look: Look): Promise<boolean> {
    if ((await take('dns', () => lookUpName(url, look))).verdict === 'failed') {
      skip(['tcp', 'tls'], `there is no address of ${url.hostname}`);
      return false;
    }
    if ((await take('tcp', () => openConnection(url, look))).verdict === 'failed') {
      skip(['tls'], `there is no connection to ${url.host}`);
      return false;
    }
    return (await take('tls', () => inspectTls(url, look))).verdict !== 'failed';
  }

  const { settings } = await take('settings', async () => examineSettings(options.readSettings));
  if (settings === undefined) {
    skip(['dns', 'tcp', 'tls', 'token', 'status'], 'the settings are faulty');
    return toReport(steps);
  }
  const batch = batchToAsk(options, settings);
  const look = { clock, timeoutMs: settings.upstreamTimeoutMs };
  const statusNetwork = createStatusNetwork(settings, clock);
  const tokenNetwork = createTokenNetwork(settings, clock);
  const { service, close } = await openService(settings, clock);
  try {
    const serviceConnects = await connects(service.url, look);
    const tokenUrl = tokenUrlOf(service);
    const tokensConnect =
      tokenUrl.origin === service.url.origin ? serviceConnects : await connects(tokenUrl, look);
    if (!tokensConnect) {
      skip(['token', 'status'], `${tokenUrl.host} is out of reach`);
      return toReport(steps);
    }
    const { token } = await take('token', () =>
      examineToken(service, tokenNetwork.exchange, clock),
    );
    if (token === undefined || !serviceConnects) {
      skip(['status'], token ? `${service.url.host} is out of reach` : 'there is no token');
      return toReport(steps);
    }
    const { finishedStatuses } = settings;
    const { exchange } = statusNetwork;
    const endpoint = createServiceEndpoint(service, finishedStatuses, exchange, clock, () => {});
    await take('status', () => examineStatus(batch, endpoint, token));
    return toReport(steps);
  } finally {
    await Promise.all([statusNetwork.close(), tokenNetwork.close(), close()]);
  }
}

interface SettingsFinding extends Finding {
  settings: Settings | undefined;
}

function examineSettings(readSettings: () => Settings): SettingsFinding {
  try {
    const settings = readSettings();
    const { participantService: service } = settings;
    const message =
      service === undefined
        ? 'no PARTICIPANT_SERVICE_URL: the sandbox stands for it'
        : `tenant ${service.tenantId} at ${service.url.origin}, tokens by ${service.token.grant}`;
    return { settings, verdict: 'ok', message, facts: { sandbox: service === undefined } };
  } catch (error) {
    if (!(error instanceof SettingsError)) throw error;
    const advice = 'Each setting is described in .env.example.';
    return { settings: undefined, verdict: 'failed', message: error.message, advice };
  }
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
