/** `warning`: it works, but look at it. `skipped`: something before it failed. */
export type Verdict = 'ok' | 'warning' | 'failed' | 'skipped';

/** What was found in one step. Holds no secret, and of a batch its id, status and counts only. */
export interface Finding {
  verdict: Verdict;
  /** In one sentence, or a few lines. */
  message: string;
  /** What to do about it. */
  advice?: string | undefined;
  /** The same for programs, and more. */
  facts?: Readonly<Record<string, string | number | boolean | null | readonly string[]>>;
}

/** In the order in which they are run. */
export type StepName = 'settings' | 'dns' | 'tcp' | 'tls' | 'token' | 'status' | 'keys';

export interface Step extends Finding {
  name: StepName;
  durationMs: number;
}

/** The whole examination: what `--json` prints. */
export interface Report {
  /** Of the whole: that of its worst step. */
  verdict: 'ok' | 'warning' | 'failed';
  exitCode: number;
  steps: readonly Step[];
}

/** Of a process whose arguments are not understood. */
export const USAGE_EXIT_CODE = 2;

const EXIT_CODES: Record<StepName, number> = {
  settings: 1,
  dns: 3,
  tcp: 3,
  tls: 3,
  token: 4,
  status: 5,
  keys: 6,
};

/** The exit code is that of the first step that failed; 0 when none did. */
export function toReport(steps: readonly Step[]): Report {
  const failed = steps.find(({ verdict }) => verdict === 'failed');
  if (failed !== undefined) {
    return { verdict: 'failed', exitCode: EXIT_CODES[failed.name], steps };
  }
  const warned = steps.some(({ verdict }) => verdict === 'warning');
  return { verdict: warned ? 'warning' : 'ok', exitCode: 0, steps };
}

const MARGIN = ' '.repeat(22);

/** The report for a person. */
export function printReport(report: Report): string {
  const lines = report.steps.map(({ verdict, name, message, advice, durationMs }) => {
    const time = verdict === 'skipped' || name === 'settings' ? '' : ` (${durationMs} ms)`;
    const text = `${printable(message)}${time}`.replaceAll('\n', `\n${MARGIN}`);
    const help = advice === undefined ? '' : `\n${MARGIN}→ ${printable(advice)}`;
    return `  ${verdict.padEnd(8)}  ${name.padEnd(10)}${text}${help}\n`;
  });
  return `\n${lines.join('')}\n  ${summaryOf(report)}\n`;
}

/** Words of a server must not move a terminal's cursor. */
function printable(text: string): string {
  return text.replaceAll(/(?!\n)\p{Cc}/gu, '\ufffd');
}

function summaryOf({ verdict, exitCode, steps }: Report): string {
  if (verdict === 'ok') return 'All is well.';
  if (verdict === 'warning') return 'It works; see the warnings.';
  const failed = steps.find((step) => step.verdict === 'failed');
  return `It does not work: ${failed?.name} failed (exit code ${exitCode}).`;
}
