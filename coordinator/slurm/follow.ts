/**
 * What Slurm does is followed by asking it (T6): nodes that it drains are drained here, too, and opened again with it; jobs
 * that it has requeued begin, and those that it has ended are over.
 */
import { parseConfiguration } from '../../core/slurm/configuration';
import { scontrol } from '../../core/slurm/scontrol';
import type { Context } from '../context';
import { drainNode, undrainNode } from '../drain/drain';
import { followJobs } from './jobs';
import { drainChanges, parseNodes } from './nodes';
import { type SlurmSite, siteOf } from './site';

const LOOK_MS = 10_000;
/** While a job is between two runs, or ends. */
const SOON_MS = 1_000;

export interface SlurmFollower {
  /** null: Slurm has not answered yet. */
  site(): SlurmSite | null;
  /** Something has changed. */
  look(): void;
  stop(): void;
}

/** Two questions for the whole cluster every ten seconds. */
export function followSlurm(context: Context): SlurmFollower {
  const { clock, log } = context;
  let site: SlurmSite | null = null;
  let isAsking = false;
  let isAskedAgain = false;
  let isAnswered = true;
  let isStopped = false;
  let cancelSoon = () => {};
  const ask = async (): Promise<void> => {
    site ??= siteOf(parseConfiguration(await scontrol(['show', 'config'])));
    await followNodes(context, await scontrol(['show', 'node', '--oneliner']));
    const isBusy = await followJobs(context, site);
    cancelSoon();
    if (isBusy && !isStopped) cancelSoon = clock.after(SOON_MS, look);
  };
  const answer = async (): Promise<void> => {
    try {
      await ask();
      isAnswered = true;
    } catch (err) {
      // Said once, not every ten seconds.
      if (isAnswered) log.warn({ err }, 'Slurm does not answer: what it does is not known');
      isAnswered = false;
      site = null;
    }
  };
  const look = (): void => {
    if (isStopped) return;
    isAskedAgain = isAsking;
    if (isAsking) return;
    isAsking = true;
    void answer().then(() => {
      isAsking = false;
      if (isAskedAgain) look();
    });
  };
  look();
  const cancel = clock.every(LOOK_MS, look);
  return {
    site: () => site,
    look,
    stop: () => {
      isStopped = true;
      cancel();
      cancelSoon();
    },
  };
}

async function followNodes(context: Context, text: string): Promise<void> {
  const { drains, fleet } = context;
  const known = new Set(fleet.nodes().map(({ name }) => name));
  const reasons = new Map([...drains.nodes].map((node) => [node, drains.find(node)?.reason ?? '']));
  const { drain, undrain } = drainChanges(parseNodes(text), known, reasons);
  for (const { node, reason } of drain) await drainNode(context, { node, reason, restart: true });
  for (const node of undrain) await undrainNode(context, node);
}
