import { readdir, readFile } from 'node:fs/promises';
import { monitorEventLoopDelay, performance } from 'node:perf_hooks';
import { getHeapSpaceStatistics, getHeapStatistics } from 'node:v8';
import type { Instruments, Sample } from './instruments.ts';

/** The process that is measured. */
export interface MeasuredProcess {
  node: Pick<NodeJS.Process, 'version' | 'cpuUsage' | 'memoryUsage' | 'uptime'>;
  /** Of the gateway. */
  version: string;
  /** Lines that did not get into the log, since the start. */
  droppedLogLines(): number;
}

/** How often the event loop's delay is looked at. */
const RESOLUTION_MS = 20;
const NS_PER_SECOND = 1e9;
const US_PER_SECOND = 1e6;

/** Measures the process, until the function is called that is returned. */
export function measureProcess(
  instruments: Instruments,
  { node, version, droppedLogLines }: MeasuredProcess,
): () => void {
  instruments.observeGauge({
    name: 'participant_gateway_build_info',
    help: 'The versions that run.',
    labelNames: ['version', 'nodejs_version'],
    read: () => [[{ version, nodejs_version: node.version.replace(/^v/, '') }, 1]],
  });
  instruments.observeCounter({
    name: 'participant_gateway_log_lines_dropped_total',
    help: 'Lines that did not get into the log, because nobody read it.',
    read: droppedLogLines,
  });
  instruments.observeCounter({
    name: 'process_cpu_time_seconds_total',
    help: 'Processor time, of all threads.',
    labelNames: ['cpu_mode'],
    read: () => {
      const { user, system } = node.cpuUsage();
      return [
        [{ cpu_mode: 'user' }, user / US_PER_SECOND],
        [{ cpu_mode: 'system' }, system / US_PER_SECOND],
      ];
    },
  });
  instruments.observeGauge({
    name: 'process_memory_usage_bytes',
    help: 'Physical memory that the process has.',
    read: () => node.memoryUsage.rss(),
  });
  instruments.observeGauge({
    name: 'process_uptime_seconds',
    help: 'How long the process has run.',
    read: () => node.uptime(),
  });
  measureHeap(instruments);
  measureFileDescriptors(instruments);
  return measureEventLoop(instruments);
}

function measureHeap(instruments: Instruments): void {
  instruments.observeGauge({
    name: 'v8js_memory_heap_used_bytes',
    help: 'Heap that objects take, by space.',
    labelNames: ['v8js_heap_space_name'],
    read: () =>
      getHeapSpaceStatistics().map(
        ({ space_name, space_used_size }): Sample => [
          { v8js_heap_space_name: space_name },
          space_used_size,
        ],
      ),
  });
  instruments.observeGauge({
    name: 'participant_gateway_heap_limit_bytes',
    help: 'Heap that the process may have (node --max-old-space-size, and a little more).',
    read: () => getHeapStatistics().heap_size_limit,
  });
}

/** On Linux alone; elsewhere they are 0. */
function measureFileDescriptors(instruments: Instruments): void {
  instruments.observeGauge({
    name: 'process_open_fds',
    help: 'Open file descriptors.',
    read: () =>
      readdir('/proc/self/fd').then(
        // One of them was open to look.
        (names) => names.length - 1,
        () => 0,
      ),
  });
  const limit = readFile('/proc/self/limits', 'utf8').then(
    (text) => Number(/^Max open files +(\d+)/m.exec(text)?.[1] ?? Number.POSITIVE_INFINITY),
    () => 0,
  );
  instruments.observeGauge({
    name: 'process_max_fds',
    help: 'File descriptors that may be open.',
    read: () => limit,
  });
}

type EventLoopDelay = ReturnType<typeof monitorEventLoopDelay>;

const DELAYS: Readonly<Record<string, (delay: EventLoopDelay) => number>> = {
  min: (delay) => delay.min,
  max: (delay) => delay.max,
  mean: (delay) => delay.mean,
  stddev: (delay) => delay.stddev,
  p50: (delay) => delay.percentile(50),
  p90: (delay) => delay.percentile(90),
  p99: (delay) => delay.percentile(99),
};

/** Since somebody looked last: with several who look, each sees what the others left. */
function measureEventLoop(instruments: Instruments): () => void {
  const delay = monitorEventLoopDelay({ resolution: RESOLUTION_MS });
  delay.enable();
  for (const [what, nanoseconds] of Object.entries(DELAYS)) {
    instruments.observeGauge({
      name: `nodejs_eventloop_delay_${what}_seconds`,
      help: `From one turn to the next of a timer of ${RESOLUTION_MS} ms, since the last scrape: ${what}.`,
      read: () => (delay.count === 0 ? 0 : nanoseconds(delay) / NS_PER_SECOND),
    });
  }
  let last = performance.eventLoopUtilization();
  instruments.observeGauge({
    name: 'nodejs_eventloop_utilization_ratio',
    help: 'The part of the time in which the event loop was busy, since the last scrape.',
    read: () => {
      // They are read in the order in which they were made: the delays are read already.
      delay.reset();
      const now = performance.eventLoopUtilization();
      const { utilization } = performance.eventLoopUtilization(now, last);
      last = now;
      return utilization;
    },
  });
  return () => delay.disable();
}
