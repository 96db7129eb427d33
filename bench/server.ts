import { once } from 'node:events';
import { readFileSync, truncateSync } from 'node:fs';
import { join } from 'node:path';
import { request } from 'undici';
import { freePort } from './loopback.ts';
import { poll, type Running, start } from './processes.ts';
import type { Stage } from './stage.ts';
import type { Subject } from './subjects.ts';

/** A server that listens. */
export interface Server extends Running {
  endpoint: string;
  /** Wall-clock time, in milliseconds, from its start to the log line that says so; NaN for peers. */
  startMs: number;
  /** Its requests for a token, at the stage's endpoint. */
  tokenCalls(): number;
  /** Its log since it was last emptied; an entry comes here within a second. */
  readLog(): string;
  /** Empties the file that takes its log, so that it does not fill the disk. */
  emptyLog(): void;
}

export interface ServerOptions {
  /** In place of the stage's upstream. */
  upstreamOrigin?: string;
  /** Whether probe.ts is in it, for {@link ask}. */
  isProbed?: boolean;
  /** Settings of the gateway besides. */
  env?: Readonly<Record<string, string>>;
}

/** The log levels at which the gateway says that it listens. */
const LEVELS: ReadonlySet<string> = new Set(['trace', 'debug', 'info']);

let servers = 0;

/** Starts a subject on the server's core. Rejects when it does not say that it listens. */
export async function startServer(
  subject: Subject,
  stage: Stage,
  { upstreamOrigin = stage.upstream.origin, isProbed = false, env = {} }: ServerOptions = {},
): Promise<Server> {
  servers += 1;
  const name = `server-${servers}`;
  const output = join(stage.folder, `${name}.log`);
  const port = await freePort();
  // The peers want UPSTREAM, and leave the gateway's alone.
  const settings: Record<string, string> = {
    PATH: process.env['PATH'] ?? '',
    NODE_ENV: 'production',
    UPSTREAM: upstreamOrigin,
    HOST: '127.0.0.1',
    PORT: String(port),
    PARTICIPANT_SERVICE_URL: upstreamOrigin,
    PARTICIPANT_SERVICE_TENANT_ID: 'bench',
    TOKEN_GRANT: 'oauth2',
    TOKEN_URL: stage.tokens.urlFor(name),
    TOKEN_CLIENT_ID: 'bench',
    TOKEN_CLIENT_SECRET: 'bench',
    LOG_LEVEL: 'info',
    LOG_FORMAT: 'json',
    ...stage.gatewayEnv,
    ...subject.env,
    ...(subject.callers ? stage.tokens.callerEnv : {}),
    ...env,
  };
  const flags = ['--expose-gc', '--disable-warning=ExperimentalWarning'];
  const probe = [...flags, '--import', new URL('probe.ts', import.meta.url).href];
  const startedAt = Date.now();
  const running = start([process.execPath, ...(isProbed ? probe : []), ...subject.program], {
    core: stage.serverCore,
    cwd: stage.folder,
    output,
    ipc: isProbed,
    env: settings,
  });
  const readLog = () => readFileSync(output, 'utf8');
  // With fewer log entries than usual the gateway does not say that it listens.
  const origin = LEVELS.has(settings['LOG_LEVEL'] ?? '') ? undefined : `http://127.0.0.1:${port}`;
  const listening = await poll(async () => {
    if (running.child.exitCode !== null) throw new Error(`has ended:\n${readLog()}`);
    const [line, endpoint] = /^.*"graphql":"(http[^"]+)".*$/m.exec(readLog()) ?? [];
    if (line !== undefined && endpoint !== undefined) return { line, endpoint };
    const lives = origin !== undefined && (await answers(`${origin}/livez`));
    return lives ? { line: '{}', endpoint: `${origin}/graphql` } : undefined;
  }, 'Listening').catch((error: unknown) => {
    throw new Error(`${subject.name} cannot be started.`, { cause: error });
  });
  const entry: { time?: string } = JSON.parse(listening.line);
  return {
    ...running,
    endpoint: listening.endpoint,
    startMs: Date.parse(entry.time ?? '') - startedAt,
    tokenCalls: () => stage.tokens.callsOf(name),
    readLog,
    emptyLog: () => truncateSync(output),
  };
}

/**
 * Asks a server that was started with the probe for its processor time, in microseconds, or for the heap that is
 * left after collections, in bytes. What others can see of the first may be behind, or counted by 10 ms.
 */
export async function ask({ child }: Server, what: 'cpu' | 'heap'): Promise<number> {
  const answer = once(child, 'message');
  child.send(what);
  const [figure] = await answer;
  return Number(figure);
}

function answers(url: string): Promise<boolean> {
  return request(url).then(
    ({ statusCode, body }) => body.dump().then(() => statusCode === 200),
    () => false,
  );
}
