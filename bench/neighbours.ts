/**
 * Lets a participant type, or a caller, beside a healthy one fail in many ways: see README.md. Exits with 1
 * when the healthy one suffers more than the goals allow.
 */
import { ENV, judge, readOptions, say, toCount, toEnv, toNames } from './command-line.ts';
import { measureWay } from './neighbours/measure.ts';
import { WAYS } from './neighbours/ways.ts';

const OPTIONS = {
  rounds: { type: 'string', default: '5' },
  seconds: { type: 'string', default: '3' },
  only: { type: 'string' },
  ...ENV,
} as const;

const { names, env, ...times } = readOptions(OPTIONS, (values) => ({
  rounds: toCount('rounds', values.rounds),
  seconds: toCount('seconds', values.seconds),
  names: toNames(values.only, [...WAYS.keys()]),
  env: toEnv(values.env),
}));

await judge(env, async (stage) => {
  const verdicts = [];
  for (const [name, way] of WAYS) {
    if (!names.includes(name)) continue;
    say(`${name}: ${way.title}`);
    verdicts.push(...(await measureWay(stage, name, way, times)));
    say('');
  }
  return verdicts;
});
