/** What an agent that died left behind (invariant L1): removed before the new one registers. */
import { readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import type { AgentContext } from './context';
import { putBack } from './files/rolledBack';
import { removeStaged } from './files/staged';
import { Snapshots } from './memory/snapshots';
import { dropFence } from './network/fence';
import { deleteTable } from './network/nft';
import { dropStaleTranslations } from './network/translation';
import { isAlive } from './proc/stat';
import { readJson } from './runDirectory';

const intent = z.object({ job: z.string() });
/** A watchdog's own record (docs/native-programs.md), there as long as it lives, or when it was killed. */
const holdFile = z.object({
  hold_pid: z.number().int(),
  hold_start: z.number().int(),
  lock_table: z.string().regex(/^CRIU-[0-9a-f-]+$/),
});

/** A watchdog whose agent is gone fails its gate at once; CRIU then has this long to end, and is killed after it. */
const WATCHDOG_END_MS = 15_000;
const POLL_MS = 20;

export async function sweep(context: AgentContext): Promise<void> {
  await context.trees.removeUnfinished();
  await context.trees.endUnfilled();
  for (const name of readdirSync(context.directory.operations)) {
    const path = join(context.directory.operations, name);
    for (const tree of readdirSync(path)) {
      await endHold(join(path, tree));
      await Snapshots.endAll(join(path, tree, 'snapshots.json'));
      await removeStaged(join(path, tree));
    }
    await putBack(path, context.log);
    const found = intent.safeParse(readJson(join(path, 'intent.json')));
    if (found.success) await dropFence(found.data.job);
    rmSync(path, { recursive: true, force: true });
    context.log.info({ operation: name }, 'removed what an earlier agent left');
  }
  await dropStaleTranslations(context.directory, (job) => context.trees.ofJob(job).length > 0);
}

/** Waits for the watchdog of an earlier agent; what it could not remove itself, because it was killed, is removed. */
async function endHold(directory: string): Promise<void> {
  const found = holdFile.safeParse(readJson(join(directory, 'hold.json')));
  if (!found.success) return;
  const { hold_pid, hold_start, lock_table } = found.data;
  for (let waitedMs = 0; isAlive(hold_pid, hold_start) && waitedMs < WATCHDOG_END_MS; waitedMs += POLL_MS) {
    await new Promise((resolve) => setTimeout(resolve, POLL_MS));
  }
  await deleteTable(lock_table);
}
