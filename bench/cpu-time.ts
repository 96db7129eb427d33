/** Loaded into a server that is measured: tells, when asked, its processor time, in microseconds. */
import { cpuUsage } from 'node:process';

process.on('message', (message) => {
  if (message !== 'cpu') return;
  const { user, system } = cpuUsage();
  process.send?.(user + system);
});
