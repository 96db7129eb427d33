import type {
  AuthSettings,
  ParticipantServiceSettings,
  TokenSettings,
} from '../config/settings.ts';
import type { Send } from '../http-client/client.ts';
import { HttpClientError } from '../http-client/errors.ts';
import { type HttpResponse, headerOf } from '../http-client/response-collector.ts';
import type { Clock } from '../lib/clock.ts';
import { createServiceGrant } from '../tenants/services.ts';
import type { GrantedToken } from '../tokens/client-credentials.ts';
import { TokenError } from '../tokens/errors.ts';
import type { Finding } from './report.ts';

interface TokenFinding extends Finding {
  /** Undefined when there is none. */
  token: GrantedToken | undefined;
}

/** Tokens that end sooner are asked for again and again. */
const SHORT_LIFETIME_MS = 60_000;
/** What clocks may differ by where no tokens of callers are checked by them. */
const CLOCK_TOLERANCE_MS = 30_000;
/** What the header tells is not exacter. */
const CLOCK_RESOLUTION_MS = 1_000;

/** Asks for a token as the settings have it, and where that is refused, in the other way of oauth2. */
export async function examineToken(
  service: ParticipantServiceSettings,
  send: Send,
  clock: Clock,
  auth: AuthSettings,
): Promise<TokenFinding> {
  const recorder = record(send, clock);
  const ask = (way: ClientAuthentication) =>
    createServiceGrant(service, recorder.send, clock, way)();
  try {
    const token = await ask(service.token.clientAuthentication);
    return { token, ...judgeToken(token, service.token, recorder.clockSkewS(), auth) };
  } catch (error) {
    if (!(error instanceof TokenError)) throw error;
    const clockSkewSeconds = recorder.clockSkewS() ?? null;
    const { grant } = service.token;
    const facts = { grant, worksWith: null, clockSkewSeconds, requestId: error.requestId };
    const failure = { verdict: 'failed', message: error.message, facts } as const;
    if (error.kind === 'refused') {
      const other = otherWay(service.token);
      const token = other && (await ask(other).catch(() => undefined));
      const worksWith = token === undefined ? null : (other ?? null);
      return {
        token,
        ...failure,
        advice: adviceForRefusal(worksWith),
        facts: { ...facts, worksWith },
      };
    }
    const networkError = recorder.networkError();
    const message = networkError ? `${error.message}: ${networkError.message}` : error.message;
    const advice =
      networkError || recorder.answered() ? ADVICE_FOR_ENDPOINT : ADVICE_FOR_SECRET_FILE;
    return { token: undefined, ...failure, message, advice };
  }
}

type ClientAuthentication = TokenSettings['clientAuthentication'];

/** The platform's own grant knows one way only. */
function otherWay({
  grant,
  clientAuthentication,
}: TokenSettings): ClientAuthentication | undefined {
  if (grant === 'os1') return undefined;
  return clientAuthentication === 'client_secret_basic'
    ? 'client_secret_post'
    : 'client_secret_basic';
}

function adviceForRefusal(worksWith: ClientAuthentication | null): string {
  return worksWith === null
    ? 'Check TOKEN_CLIENT_ID and the secret, that they are valid on this tenant, and TOKEN_SCOPE and TOKEN_AUDIENCE.'
    : `Set TOKEN_CLIENT_AUTH=${worksWith}: in that way, a token is issued.`;
}

const ADVICE_FOR_ENDPOINT =
  'Check that TOKEN_GRANT, TOKEN_URL and TOKEN_ISSUER mean the token endpoint that is there, and that it is well.';
const ADVICE_FOR_SECRET_FILE = 'Check TOKEN_CLIENT_SECRET_FILE: nobody was asked for a token.';

function judgeToken(
  { lifetimeMs }: GrantedToken,
  { grant, clientAuthentication }: TokenSettings,
  clockSkewS: number | undefined,
  auth: AuthSettings,
): Finding {
  const worksWith = grant === 'os1' ? 'os1' : clientAuthentication;
  const skew =
    clockSkewS === undefined
      ? 'its server tells no time'
      : Math.abs(clockSkewS) <= 1
        ? "its server's clock agrees with this one"
        : `its server's clock is ${Math.abs(clockSkewS)} s ${clockSkewS > 0 ? 'ahead of' : 'behind'} this one`;
  const finding = {
    message: `a token by ${worksWith}, good for ${Math.round(lifetimeMs / 1000)} s; ${skew}`,
    facts: {
      grant,
      worksWith,
      lifetimeSeconds: Math.round(lifetimeMs / 1000),
      clockSkewSeconds: clockSkewS ?? null,
    },
  };
  const toleranceMs =
    auth.mode === 'jwt' ? Math.max(auth.leewayMs, CLOCK_RESOLUTION_MS) : CLOCK_TOLERANCE_MS;
  if (clockSkewS !== undefined && Math.abs(clockSkewS) * 1000 > toleranceMs) {
    const advice =
      auth.mode === 'jwt'
        ? "Set this machine's clock (NTP), or raise AUTH_LEEWAY_SECONDS: callers' tokens may count as expired, or as not valid yet."
        : "Set this machine's clock (NTP): dates in the log and in answers are off.";
    return { ...finding, verdict: 'warning', advice };
  }
  if (lifetimeMs < SHORT_LIFETIME_MS) {
    const advice = 'That is short: have tokens of some minutes issued, if you can.';
    return { ...finding, verdict: 'warning', advice };
  }
  return { ...finding, verdict: 'ok' };
}

/** A client that remembers how its last request went. */
function record(send: Send, clock: Clock) {
  let last: { response: HttpResponse; at: Date } | undefined;
  let networkError: HttpClientError | undefined;
  const recorded: Send = async (request, signal) => {
    last = undefined;
    networkError = undefined;
    try {
      const response = await send(request, signal);
      last = { response, at: clock.date() };
      return response;
    } catch (error) {
      if (error instanceof HttpClientError) networkError = error;
      throw error;
    }
  };
  return {
    send: recorded,
    /** Undefined where there was an answer, or nobody was asked. */
    networkError: () => networkError,
    answered: () => last !== undefined,
    /** By how many seconds the server's clock is ahead; undefined where it told no time. */
    clockSkewS(): number | undefined {
      const date = last && Date.parse(headerOf(last.response.headers, 'date') ?? '');
      if (last === undefined || date === undefined || Number.isNaN(date)) return undefined;
      // The header has whole seconds only, cut off.
      return Math.round((date + 500 - last.at.getTime()) / 1000);
    },
  };
}
