/**
 * Lets the gateway's upstream hang, be away, hand out short-lived tokens, and fail now and then, under
 * load: see README.md. Exits with 1 when a goal is missed.
 */
import { ENV, judge, readOptions, say, toEnv, toNames } from './command-line.ts';
import { SCENARIOS } from './faults/scenarios.ts';

const { names, env } = readOptions({ only: { type: 'string' }, ...ENV }, (values) => ({
  names: toNames(values.only, [...SCENARIOS.keys()]),
  env: toEnv(values.env),
}));

await judge(env, async (stage) => {
  const verdicts = [];
  for (const [name, scenario] of SCENARIOS) {
    if (!names.includes(name)) continue;
    const outcome = await scenario(stage);
    say(`${name}\n  ${outcome.figures.join('\n  ')}\n`);
    verdicts.push(...outcome.verdicts);
  }
  return verdicts;
});
