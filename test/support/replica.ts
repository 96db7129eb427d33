/** A replica as a process of its own, to be killed: prints its endpoint. Settings are its environment. */
import { readFileSync } from 'node:fs';
import { createGateway, GRAPHQL_PATH } from '../../src/app.ts';
import { parseSettings } from '../../src/config/load.ts';
import { patientClock } from './patient-clock.ts';

const gateway = await createGateway({
  settings: parseSettings(process.env, readFileSync),
  clock: patientClock,
  telemetry: {},
});
process.stdout.write(`endpoint ${new URL(GRAPHQL_PATH, await gateway.listen())}\n`);
