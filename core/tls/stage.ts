/** The files of a rotation change together, also when it is interrupted: they are all made before the first one is replaced. */
import { existsSync } from 'node:fs';
import { mkdir, readdir, rename, rm, rmdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { modeOf } from './files';

/** Complete once it has this name; what is in it then takes the place of the files of before. */
const stageOf = (directory: string): string => join(directory, 'rotation');

/** What was interrupted goes on: from the moment the stage is complete there is no way back, and none is needed. */
export async function completeRotation(directory: string): Promise<void> {
  const staged = stageOf(directory);
  if (!existsSync(staged)) return;
  // The new authority is trusted before anything that it has signed is there; its key comes last.
  const rank = (file: string) => (file === 'ca.crt' ? 0 : file === 'ca.key' ? 2 : 1);
  const files = (await readdir(staged)).sort((a, b) => rank(a) - rank(b));
  for (const file of files) await rename(join(staged, file), join(directory, file));
  await rmdir(staged);
}

/** @param made by the names of the files */
export async function stage(directory: string, made: ReadonlyMap<string, string>): Promise<void> {
  const incomplete = `${stageOf(directory)}.tmp`;
  await rm(incomplete, { recursive: true, force: true });
  await mkdir(incomplete, { mode: 0o700 });
  for (const [file, pem] of made) {
    await writeFile(join(incomplete, file), pem, { mode: modeOf(file) });
  }
  await rename(incomplete, stageOf(directory));
}
