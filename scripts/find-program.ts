import { accessSync, constants } from 'node:fs';
import { delimiter, join } from 'node:path';

/** The path of a program on PATH, or in one of `otherFolders`; undefined when it is not installed. */
export function findProgram(name: string, otherFolders: string[] = []): string | undefined {
  return [...(process.env['PATH'] ?? '').split(delimiter), ...otherFolders]
    .map((folder) => join(folder, name))
    .find((path) => {
      try {
        accessSync(path, constants.X_OK);
        return true;
      } catch {
        return false;
      }
    });
}
