import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { allowedCores } from './machine.ts';
import { pinned, type Running, start } from './processes.ts';
import { startTokenEndpoint } from './token-endpoint.ts';
import { startUpstream } from './upstream.ts';

/** What a measurement stands on: cores, the upstream, the token endpoint, a folder for files. */
export type Stage = Awaited<ReturnType<typeof setStage>>;

/** Sets the stage. Its folder is removed, and all that it started is ended, when this process exits. */
export async function setStage(gatewayEnv: Readonly<Record<string, string>>) {
  const folder = mkdtempSync(join(tmpdir(), 'gateway-bench-'));
  process.once('exit', () => rmSync(folder, { recursive: true, force: true }));
  mkdirSync(join(folder, 'upstream'));
  const [serverCore, loadCore] = allowedCores();
  bindSelf(loadCore);
  const upstream = await startUpstream(join(folder, 'upstream'), loadCore);
  return {
    /** The core of the servers that are measured; undefined where there is only one core. */
    serverCore: loadCore === undefined ? undefined : serverCore,
    /** The core of everything else. */
    loadCore,
    upstream,
    tokens: await startTokenEndpoint(),
    /** An empty folder, so that no `.env` of the project is read. */
    folder,
    /** Settings of the gateway besides those of the benchmark. */
    gatewayEnv,
    /** Ends the upstream, and removes the folder. */
    async clear(): Promise<void> {
      await upstream.stop();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

/** Starts a program of this folder on the core of the load; it can be talked to. */
export function startProgram(file: string, args: readonly string[], stage: Stage): Running {
  const program = fileURLToPath(new URL(file, import.meta.url));
  return start([process.execPath, program, ...args], { core: stage.loadCore, ipc: true });
}

/** This process takes part in the load: it is kept from the server's core. */
function bindSelf(core: number | undefined): void {
  const [file = '', ...args] = pinned(core, []);
  if (file !== '') spawnSync(file, ['-a', '-p', ...args, String(process.pid)], { stdio: 'ignore' });
}
