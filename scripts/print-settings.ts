/** Writes the documents of the settings anew, after a change of their table. */
import { readFile, writeFile } from 'node:fs/promises';
import { SETTINGS_DOCUMENTS } from './settings-documents.ts';

for (const { path, print } of SETTINGS_DOCUMENTS) {
  const file = new URL(`../${path}`, import.meta.url);
  await writeFile(file, print(await readFile(file, 'utf8')));
}
