import { readdirSync, readFileSync } from 'node:fs';

/** The kernel counts processor time in hundredths of a second: USER_HZ on every Linux. */
export const TICK_US = 10_000;

/** Whether the kernel tells what each thread used in nanoseconds, too. */
const HAS_NANOSECONDS = hasNanoseconds();

/**
 * The processor time that a process has used, user and system, in microseconds: in ticks of 10 ms where the kernel
 * counts no finer.
 */
export function cpuTimeOf(pid: number): number {
  if (HAS_NANOSECONDS) {
    const threads = readdirSync(`/proc/${pid}/task`);
    return threads.reduce((sum, thread) => sum + nanosecondsOf(`${pid}/task/${thread}`), 0) / 1_000;
  }
  const text = readFileSync(`/proc/${pid}/stat`, 'utf8');
  // After the name, which may hold spaces: state is the first field, utime the 12th, stime the 13th.
  const fields = text.slice(text.lastIndexOf(')') + 2).split(' ');
  return (Number(fields[11]) + Number(fields[12])) * TICK_US;
}

/** "time on the core, time waiting for it, turns". */
function nanosecondsOf(thread: string): number {
  return Number(readFileSync(`/proc/${thread}/schedstat`, 'utf8').split(' ')[0]);
}

function hasNanoseconds(): boolean {
  try {
    return nanosecondsOf('self') > 0;
  } catch {
    return false;
  }
}

/** What a process holds in memory, in MiB. */
export function residentMemoryOf(pid: number): number {
  const [, kibibytes] = /^VmRSS:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8')) ?? [];
  return Number(kibibytes) / 1024;
}

/** The cores that this process may use, by number. */
export function allowedCores(): number[] {
  const status = readFileSync('/proc/self/status', 'utf8');
  const [, list = '0'] = /^Cpus_allowed_list:\s+(\S+)/m.exec(status) ?? [];
  return list.split(',').flatMap((range) => {
    const [first = 0, last = first] = range.split('-').map(Number);
    return Array.from({ length: last - first + 1 }, (_, index) => first + index);
  });
}
