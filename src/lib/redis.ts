import { isIP } from 'node:net';
import { createClient, ErrorReply } from '@redis/client';
import type { Clock } from './clock.ts';

export interface RedisOptions {
  /** `redis:` or `rediss:`, maybe with a name and a password, and a database as its path. */
  url: URL;
  /** Before every key and channel. */
  keyPrefix: string;
  clock: Clock;
  /** A number in [0, 1), for jitter. */
  random: () => number;
  /** Called once when it cannot be used any more. `reason` is a few words, and holds no secret. Must not throw. */
  lost(reason: string): void;
  /** Called once when it can be used again. Must not throw. */
  back(lostMs: number): void;
}

/** What the scripts of the house return. */
export type RedisReply = string | number | null | readonly RedisReply[];

/** Part of every key: what another version of the gateway wrote is never read. */
const KEY_VERSION = 1;

/** A command has its answer by then, or is given up. */
export const COMMAND_TIMEOUT_MS = 50;
/** Between two looks whether it can be used again: doubles from the first to the longest, by chance a fifth more or less. */
const PROBE_MS = { first: 100, longest: 1_000 };
/** A connection that has been of no use for so long is replaced: its host may have another address by now. */
const RENEW_MS = 3_000;
const CONNECT_TIMEOUT_MS = 2_000;
/** Commands under way at a time. A hanging Redis gets no more than probes. */
const MAX_COMMANDS = 10_000;
/** Keeps connections open that would be closed as idle. */
const PING_INTERVAL_MS = 10_000;

type Client = ReturnType<typeof createClient>;
type Listener = (message: string) => void;

/**
 * Redis, or Valkey, as something to do without: nothing waits longer than 50 ms for it, and nothing fails because of
 * it. After a command that failed, whatever the reason, a probe that writes sees whether it can be used; meanwhile, and
 * until one succeeds, no command is sent. It connects in the background, by itself, again and again.
 */
export class Redis {
  readonly #options: RedisOptions;
  readonly #channels = new Map<string, Listener>();
  /** Of commands, and of subscriptions. */
  #clients: readonly [commands: Client, subscriptions: Client] | undefined;
  #isUsable = false;
  #reason = 'no connection yet';
  /** Since when it cannot be used; undefined: that has not been told. */
  #lostAt: number | undefined;
  #renewAt = 0;
  #probes = 0;
  /** To connect takes longer than to ask. */
  #probeWaitMs = PROBE_MS.longest;
  #cancelProbe = () => {};

  constructor(options: RedisOptions) {
    this.#options = options;
  }

  /** To be called once. Returns at once. */
  connect(): void {
    const { clock } = this.#options;
    this.#renewAt = clock.now() + RENEW_MS;
    const clients = [this.#createClient(), this.#createClient()] as const;
    const [commands, subscriptions] = clients;
    this.#clients = clients;
    commands.on('ready', () => void this.#probe());
    commands.on('error', (error) => {
      if (this.#clients === clients) this.#onConnectionLost(reasonOf(error));
    });
    subscriptions.on('ready', () => this.#subscribeAll());
    // It is connected anew as the other one is.
    subscriptions.on('error', () => {});
    for (const client of clients) client.connect().catch(() => {});
    // A server may accept connections, and say nothing.
    this.#probeLater();
  }

  close(): void {
    this.#isUsable = false;
    this.#cancelProbe();
    this.#probes += 1;
    for (const client of this.#clients ?? []) client.destroy();
    this.#clients = undefined;
  }

  /** False: what {@link run} returns is undefined. */
  get isUsable(): boolean {
    return this.#isUsable;
  }

  /** Why it cannot be used, in a few words for the operator; undefined: it can, or nobody knows yet. */
  problem(): string | undefined {
    return this.#lostAt === undefined ? undefined : this.#reason;
  }

  /** What keys and channels of a kind begin with. */
  namespace(kind: string): string {
    return `${this.#options.keyPrefix}:${KEY_VERSION}:${kind}`;
  }

  /** Runs a Lua script. Never rejects: undefined where Redis does not answer in time, or with an error. */
  async run(
    script: string,
    keys: readonly string[],
    args: readonly (string | number)[],
  ): Promise<RedisReply | undefined> {
    if (!this.#isUsable) return undefined;
    try {
      return await this.#send(['EVAL', script, `${keys.length}`, ...keys, ...args.map(String)]);
    } catch (error) {
      this.#doubt(reasonOf(error));
      return undefined;
    }
  }

  /** Has `listener` called with each message, as far as Redis can be reached, until the returned function is called. One a channel. */
  subscribe(channel: string, listener: Listener): () => void {
    this.#channels.set(channel, listener);
    this.#subscribe([channel]);
    return () => {
      if (this.#channels.get(channel) !== listener) return;
      this.#channels.delete(channel);
      this.#clients?.[1].unsubscribe(channel, this.#hear).catch(() => {});
    };
  }

  readonly #hear = (message: string, channel: string) => this.#channels.get(channel)?.(message);

  #subscribeAll(): void {
    if (this.#channels.size > 0) this.#subscribe([...this.#channels.keys()]);
  }

  #subscribe(channels: string[]): void {
    const subscriptions = this.#clients?.[1];
    // Until it is ready, they are only remembered.
    if (subscriptions?.isReady) subscriptions.subscribe(channels, this.#hear).catch(() => {});
  }

  #createClient(): Client {
    const { url, random } = this.#options;
    const { username, password, hostname, port, pathname } = url;
    const host = hostname.replace(/^\[(.*)\]$/, '$1');
    return createClient({
      socket: {
        host,
        port: Number(port || 6379),
        ...(url.protocol === 'rediss:' && { tls: true, servername: isIP(host) === 0 ? host : '' }),
        connectTimeout: CONNECT_TIMEOUT_MS,
        reconnectStrategy: (retries) => Math.min(1_000, 50 * 2 ** retries) * (0.5 + random()),
      },
      ...(username !== '' && { username: decodeURIComponent(username) }),
      ...(password !== '' && { password: decodeURIComponent(password) }),
      database: Number(pathname.slice(1)),
      disableOfflineQueue: true,
      // Its own time limit is only for what could not be sent yet.
      commandOptions: { timeout: 0 },
      commandsQueueMaxLength: MAX_COMMANDS,
      pingInterval: PING_INTERVAL_MS,
      disableClientInfo: true,
      maintNotifications: 'disabled',
    });
  }

  /** Rejects when there is no answer in time. */
  #send(args: string[]): Promise<RedisReply> {
    const { clock } = this.#options;
    const commands = this.#clients?.[0];
    if (!commands?.isReady) return Promise.reject(new NotAnswered(this.#reason));
    return new Promise((resolve, reject) => {
      // An answer that came while this process was busy is read before that.
      const cancel = clock.after(COMMAND_TIMEOUT_MS, () => setImmediate(() => reject(TOO_LATE)));
      commands.sendCommand<RedisReply>(args).then(resolve, reject).finally(cancel);
    });
  }

  #onConnectionLost(reason: string): void {
    if (this.#isUsable) this.#doubt(reason);
    else this.#tellLost(reason);
  }

  /** Something failed: no command is sent until a probe succeeds. */
  #doubt(reason: string): void {
    if (!this.#isUsable) return;
    this.#reason = reason;
    this.#isUsable = false;
    this.#renewAt = this.#options.clock.now() + RENEW_MS;
    void this.#probe();
  }

  /** A probe writes: what is read-only or full answers all else. */
  async #probe(): Promise<void> {
    const { clock } = this.#options;
    this.#cancelProbe();
    this.#probes += 1;
    const probe = this.#probes;
    try {
      await this.#send(['SET', this.namespace('probe'), '', 'PX', '1000']);
      if (probe === this.#probes) this.#onUsable();
    } catch (error) {
      if (probe !== this.#probes) return;
      this.#tellLost(reasonOf(error));
      if (clock.now() >= this.#renewAt) this.#renew();
      else this.#probeLater();
    }
  }

  #tellLost(reason: string): void {
    this.#reason = reason;
    if (this.#lostAt !== undefined) return;
    this.#lostAt = this.#options.clock.now();
    this.#options.lost(reason);
  }

  #probeLater(): void {
    const { clock, random } = this.#options;
    this.#cancelProbe();
    const waitMs = this.#probeWaitMs * (0.8 + 0.4 * random());
    this.#probeWaitMs = Math.min(2 * this.#probeWaitMs, PROBE_MS.longest);
    this.#cancelProbe = clock.after(waitMs, () => void this.#probe());
  }

  #onUsable(): void {
    const lostAt = this.#lostAt;
    this.#isUsable = true;
    this.#probeWaitMs = PROBE_MS.first;
    this.#lostAt = undefined;
    if (lostAt !== undefined) this.#options.back(this.#options.clock.now() - lostAt);
  }

  #renew(): void {
    this.close();
    this.connect();
  }
}

/** A command that has no answer. The message is for the operator. */
class NotAnswered extends Error {
  override readonly name = 'NotAnswered';
}

const TOO_LATE = new NotAnswered(`no answer within ${COMMAND_TIMEOUT_MS} ms`);

/** A code rather than a message, which may quote what was sent. */
function reasonOf(error: unknown): string {
  if (error instanceof NotAnswered) return error.message;
  if (error instanceof ErrorReply) return /^[A-Z]+/.exec(error.message)?.[0] ?? 'an error';
  const code = error instanceof Error && 'code' in error ? error.code : undefined;
  return typeof code === 'string' ? code : 'the connection was closed';
}
