import { parseArgs } from 'node:util';
import type { Settings } from '../config/settings.ts';
import { FieldError } from '../core/errors.ts';
import type { Clock } from '../lib/clock.ts';
import type { LookUp } from './connection.ts';
import { examine } from './examine.ts';
import { printReport, USAGE_EXIT_CODE } from './report.ts';
import { chooseTenant } from './tenant.ts';

interface DoctorOptions {
  /** What follows `doctor` on the command line. */
  args: readonly string[];
  /** Throws a `SettingsError` when they are faulty. */
  readSettings: () => Settings | Promise<Settings>;
  clock: Clock;
  lookUp: LookUp;
  /** To standard output: the report. */
  write: (text: string) => void;
  /** To standard error: what is wrong with the arguments. */
  writeError: (text: string) => void;
}

const DOCTOR_USAGE = `participant-gateway doctor [--json] [--tenant <name>] [--type <participant type>] [--batch <batch id>]

  Goes the way from the settings to a batch's status, step by step, and says what is wrong and what to do.

  --json    the report for programs
  --tenant  which tenant of TENANTS_DIR is examined; without it, and with many, their names are told
  --type    the plural name of a participant type to ask for; else the first of PARTICIPANT_TYPES, or vehicles
  --batch   the id of a batch to ask for; else the one that the service picks

  Exit code: 0 it works (there may be warnings), 1 the settings are faulty, 2 these arguments are,
  3 no connection (DNS, TCP, TLS), 4 no token, 5 no status, 6 no keys of callers' tokens,
  70 a fault of the doctor itself.
`;

/** Runs `doctor`, and resolves to its exit code. */
export async function runDoctor(options: DoctorOptions): Promise<number> {
  const { clock, lookUp, write, writeError } = options;
  const given = parseArguments(options.args);
  if (given === undefined) {
    writeError(DOCTOR_USAGE);
    return USAGE_EXIT_CODE;
  }
  if (given.help) {
    write(DOCTOR_USAGE);
    return 0;
  }
  const chosen = await chooseTenant(given.tenant, options.readSettings, clock);
  if ('unclear' in chosen) {
    writeError(`${chosen.unclear}\n`);
    return USAGE_EXIT_CODE;
  }
  const { type: participantType, batch: batchId } = given;
  const readSettings = () => {
    if ('fault' in chosen) throw chosen.fault;
    return chosen.settings;
  };
  try {
    const report = await examine({ readSettings, clock, lookUp, participantType, batchId });
    write(given.json ? `${JSON.stringify(report, null, 2)}\n` : printReport(report));
    return report.exitCode;
  } catch (error) {
    if (!(error instanceof FieldError)) throw error;
    writeError(`${error.message}\n`);
    return USAGE_EXIT_CODE;
  }
}

/** Undefined for what it does not take. */
function parseArguments(args: readonly string[]) {
  try {
    const { values } = parseArgs({
      args: [...args],
      options: {
        help: { type: 'boolean', default: false },
        json: { type: 'boolean', default: false },
        tenant: { type: 'string' },
        type: { type: 'string' },
        batch: { type: 'string' },
      },
    });
    return values;
  } catch {
    return undefined;
  }
}
