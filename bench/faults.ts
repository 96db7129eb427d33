/**
 * Lets the gateway's upstream hang, be away, hand out short-lived tokens, and fail now and then, under
 * load: see README.md. Exits with 1 when a goal is missed.
 */
import { parseArgs } from 'node:util';
import { hang } from './faults/hang.ts';
import { outage } from './faults/outage.ts';
import { retries } from './faults/retries.ts';
import type { Scenario } from './faults/scenario.ts';
import { tokens } from './faults/tokens.ts';
import type { Verdict } from './goals.ts';
import { toPair } from './options.ts';
import { setStage } from './stage.ts';
import { toVerdictTable } from './table.ts';

const SCENARIOS: ReadonlyMap<string, Scenario> = new Map([
  ['hang', hang],
  ['refused', (stage) => outage(stage, 'refused')],
  ['unavailable', (stage) => outage(stage, { share: 1 })],
  ['tokens', tokens],
  ['retries', retries],
]);

const { values } = parseArgs({
  options: {
    only: { type: 'string' },
    env: { type: 'string', multiple: true, default: [] },
  },
});
const names = values.only?.split(',') ?? [...SCENARIOS.keys()];
const chosen = names.map((name) => {
  const scenario = SCENARIOS.get(name);
  if (scenario) return { name, scenario };
  throw new Error(`--only takes some of ${[...SCENARIOS.keys()].join(', ')}.`);
});

const say = (text: string) => void process.stdout.write(`${text}\n`);
const stage = await setStage(Object.fromEntries(values.env.map(toPair)));
const verdicts: Verdict[] = [];
for (const { name, scenario } of chosen) {
  const outcome = await scenario(stage);
  say(`${name}\n  ${outcome.figures.join('\n  ')}\n`);
  verdicts.push(...outcome.verdicts);
}
await stage.clear();

say(toVerdictTable(verdicts));
process.exit(verdicts.every(({ met }) => met) ? 0 : 1);
