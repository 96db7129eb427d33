import { readFile } from 'node:fs/promises';
import type { LookUp } from '../doctor/connection.ts';
import type { CheckOptions } from './check.ts';
import type { SandboxOptions } from './sandbox.ts';

/** What the commands have of the process that they run in. */
interface CommandContext extends CheckOptions, SandboxOptions {
  lookUp: LookUp;
}

const USAGE = `participant-gateway [serve]   starts the gateway
participant-gateway doctor    goes the way from the settings to a batch's status, and says what is wrong:
                              see doctor --help
participant-gateway check     judges the settings as a start would, and calls nobody
participant-gateway health    asks the gateway of the same settings whether it lives: see health --help
participant-gateway sandbox   starts a made-up Participant Service alone, on PORT (4001)
participant-gateway schema    prints the subgraph's schema (SDL), for registries

  -h, --help      this text
  -v, --version   the version

Settings come from the environment, and from the file .env in the working directory; without any, serve runs
on the sandbox. Exit code: 0 all is well; 1 the settings are faulty, or an address cannot be had; 2 these
arguments are not understood; 70 a bug. The doctor has more.
`;

/** As command lines have it: the arguments are not understood. */
const EXIT_USAGE = 2;

type Command = (context: CommandContext) => Promise<number>;

/** Each loads what it needs. */
const COMMANDS: ReadonlyMap<string, Command> = new Map<string, Command>([
  ['check', async (context) => (await import('./check.ts')).runCheck(context)],
  ['sandbox', async (context) => (await import('./sandbox.ts')).runSandbox(context)],
  ['schema', printSchema],
  ['--version', printVersion],
  ['-v', printVersion],
  ['--help', printUsage],
  ['-h', printUsage],
  // Alone it does not come here.
  ['serve', printUsage],
]);

/** Runs what follows the program's name, except `serve`, and resolves to the exit code. */
export async function runCommand(
  [name = '', ...args]: readonly string[],
  context: CommandContext,
): Promise<number> {
  if (name === 'doctor') {
    const { runDoctor } = await import('../doctor/command.ts');
    return runDoctor({ ...context, args });
  }
  if (name === 'health') {
    const { runHealth } = await import('./health.ts');
    return runHealth({ ...context, args });
  }
  const command = COMMANDS.get(name);
  const [unknown] = command === undefined ? [name] : args;
  if (command !== undefined && unknown === undefined) return command(context);
  if (command !== undefined && (unknown === '--help' || unknown === '-h')) {
    return printUsage(context);
  }
  context.writeError(
    `participant-gateway does not know ${JSON.stringify(unknown)}. See participant-gateway --help.\n`,
  );
  return EXIT_USAGE;
}

async function printSchema({ write }: CommandContext): Promise<number> {
  write((await import('../graphql/schema/index.ts')).printSchema());
  return 0;
}

async function printVersion({ write }: CommandContext): Promise<number> {
  const manifest = await readFile(new URL('../../package.json', import.meta.url), 'utf8');
  write(`${JSON.parse(manifest).version}\n`);
  return 0;
}

async function printUsage({ write }: CommandContext): Promise<number> {
  write(USAGE);
  return 0;
}
