/** What an agent that died left behind (invariant L1): removed before the new one registers. */
import { readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import type { AgentContext } from './context';
import { endWatchdog } from './criu/watchdog';
import { putBack } from './files/rolledBack';
import { removeStaged } from './files/staged';
import { Snapshots } from './memory/snapshots';
import { dropFence } from './network/fence';
import { dropStaleTranslations } from './network/translation';
import { readJson } from './runDirectory';

const intent = z.object({ job: z.string() });

/** A watchdog whose agent is gone fails its gate at once; CRIU then has this long to end, and is killed after it. */
const WATCHDOG_END_MS = 15_000;

export async function sweep(context: AgentContext): Promise<void> {
  await context.trees.removeUnfinished();
  await context.trees.endUnfilled();
  for (const name of readdirSync(context.directory.operations)) {
    const path = join(context.directory.operations, name);
    for (const tree of readdirSync(path)) {
      await endWatchdog(join(path, tree), WATCHDOG_END_MS);
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
