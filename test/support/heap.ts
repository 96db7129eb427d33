import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

setFlagsFromString('--expose-gc');
const collectGarbage: () => void = runInNewContext('gc');

/** Bytes of V8's heap that are in use, once all of it was collected. */
export function heapUsed(): number {
  collectGarbage();
  return process.memoryUsage().heapUsed;
}
