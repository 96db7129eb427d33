import { writeFile } from 'node:fs/promises';
import { printSchema } from '../src/graphql/schema/index.ts';

await writeFile(new URL('../schema.graphql', import.meta.url), printSchema());
