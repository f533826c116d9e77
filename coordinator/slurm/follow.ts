/** Nodes that Slurm drains are drained here, too, and opened again with it: their jobs go on elsewhere. */
import { scontrol } from '../../core/slurm/scontrol';
import type { Context } from '../context';
import { drainNode, undrainNode } from '../drain/drain';
import { drainChanges, parseNodes } from './nodes';

const LOOK_MS = 10_000;

/** One question for the whole cluster every ten seconds. The result stops. */
export function followSlurm(context: Context): () => void {
  const { clock, log } = context;
  let isAsking = false;
  let isAnswered = true;
  const look = async (): Promise<void> => {
    if (isAsking) return;
    isAsking = true;
    try {
      await apply(context, await scontrol(['show', 'node', '--oneliner']));
      isAnswered = true;
    } catch (err) {
      // Said once, not every ten seconds.
      if (isAnswered) log.warn({ err }, 'Slurm does not answer: its drained nodes are not known');
      isAnswered = false;
    } finally {
      isAsking = false;
    }
  };
  void look();
  return clock.every(LOOK_MS, () => void look());
}

async function apply(context: Context, text: string): Promise<void> {
  const { drains, fleet } = context;
  const known = new Set(fleet.nodes().map(({ name }) => name));
  const reasons = new Map([...drains.nodes].map((node) => [node, drains.find(node)?.reason ?? '']));
  const { drain, undrain } = drainChanges(parseNodes(text), known, reasons);
  for (const { node, reason } of drain) await drainNode(context, { node, reason, restart: true });
  for (const node of undrain) await undrainNode(context, node);
}
