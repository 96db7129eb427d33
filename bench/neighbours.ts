/**
 * Lets a participant type, or a caller, beside a healthy one fail in many ways: see README.md. Exits with 1
 * when the healthy one suffers more than the goals allow.
 */
import { parseArgs } from 'node:util';
import type { Verdict } from './goals.ts';
import { measureWay } from './neighbours/measure.ts';
import { WAYS } from './neighbours/ways.ts';
import { toCount, toPair } from './options.ts';
import { setStage } from './stage.ts';
import { toVerdictTable } from './table.ts';

const { values } = parseArgs({
  options: {
    rounds: { type: 'string', default: '5' },
    seconds: { type: 'string', default: '3' },
    only: { type: 'string' },
    env: { type: 'string', multiple: true, default: [] },
  },
});
const rounds = toCount('rounds', values.rounds, 1);
const seconds = toCount('seconds', values.seconds, 1);
const names = values.only?.split(',') ?? [...WAYS.keys()];
const chosen = names.map((name) => {
  const way = WAYS.get(name);
  if (way) return { name, way };
  throw new Error(`--only takes some of ${[...WAYS.keys()].join(', ')}.`);
});

const say = (text: string) => void process.stdout.write(`${text}\n`);
const stage = await setStage(Object.fromEntries(values.env.map(toPair)));
const verdicts: Verdict[] = [];
for (const { name, way } of chosen) {
  say(`${name}: ${way.title}`);
  const options = { rounds, seconds, say: (line: string) => say(`  ${line}`) };
  verdicts.push(...(await measureWay(stage, name, way, options)));
  say('');
}
await stage.clear();

say(toVerdictTable(verdicts));
process.exit(verdicts.every(({ met }) => met) ? 0 : 1);
