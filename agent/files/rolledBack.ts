/**
 * Roll-backs of one restart (invariant L2), on record before they are made: a restart that fails leaves the files as it
 * found them, so that the job can still be restarted from a newer checkpoint.
 */
import { join } from 'node:path';
import type { Logger } from 'pino';
import { z } from 'zod';
import type { SharedFile } from '../../proto/gen/holdfast/v1/manifest';
import { runTool } from '../run';
import { readJson, writeJson } from '../runDirectory';
import { asUser, type FileOwner, freeTailPath, rollBack } from './shared';

const rollBackRecord = z.object({
  path: z.string(),
  tail: z.string(),
  sizeBytes: z.number().int(),
  uid: z.number().int(),
  gid: z.number().int(),
  groups: z.array(z.number().int()),
});
const recordFile = z.array(rollBackRecord);

type RollBackRecord = z.infer<typeof rollBackRecord>;

// Only a file of exactly the recorded size is as the roll-back left it. The tail goes once the file has all of it again.
const PUT_BACK = `
size() { stat --format=%s -- "$1"; }
[ "$(size "$1")" -eq "$2" ] && cat -- "$3" >> "$1" && sync -- "$1"
[ "$(size "$1")" -eq $(($2 + $(size "$3"))) ] && rm -- "$3"`;

const recordPath = (directory: string): string => join(directory, 'rolled-back.json');

function readRecords(directory: string): RollBackRecord[] {
  return recordFile.parse(readJson(recordPath(directory)) ?? []);
}

/** Cuts the file back; returns where its tail is. @param directory of the operation */
export async function rollBackRecorded(
  directory: string,
  file: SharedFile,
  generation: number,
  { uid, gid, groups }: FileOwner,
): Promise<string> {
  const { path, sizeBytes } = file;
  const tail = freeTailPath(path, generation);
  const record = { path, tail, sizeBytes, uid, gid, groups: [...groups] };
  writeJson(recordPath(directory), [...readRecords(directory), record]);
  await rollBack(file, tail, record);
  return tail;
}

/**
 * Puts the tails back. Where the job has run since and has written, or nothing was cut yet, the file stays as it is; a tail that
 * is not put back stays beside its file (L2), and the log says so.
 */
export async function putBack(directory: string, log: Logger): Promise<void> {
  for (const { path, tail, sizeBytes, ...owner } of readRecords(directory)) {
    const command = ['sh', '-c', PUT_BACK, 'sh', path, String(sizeBytes), tail];
    const { code, stderr } = await runTool('setpriv', [...asUser(owner), ...command]);
    if (code !== 0) log.warn({ path, tail, reason: stderr.trim() }, 'a rolled back file stays as it is');
  }
}
