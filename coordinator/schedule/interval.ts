/** How often a checkpoint pays. Pure. */
import { mtbfMs, type Observed, sourceText } from '../failures/estimate';
import { seconds } from './words';

/** Before anything was measured: soon enough to learn, late enough not to disturb a short job. */
const FIRST_MS = 5 * 60_000;
/** A cost of nothing would mean checkpoints without a pause. */
const MIN_COST_MS = 1;

/** What one checkpoint of the job takes. */
export interface Cost {
  /** The job stands still. */
  readonly heldMs: number;
  /** From the preparation to the commit: the upload is part of it. */
  readonly durationMs: number;
}

/**
 * Daly's higher-order estimate (2006) of the compute time between two checkpoints that loses least.
 * @param mtbf of the whole job, in the unit of the cost
 */
export function daly(cost: number, mtbf: number): number {
  if (cost >= 2 * mtbf) return mtbf;
  const ratio = cost / (2 * mtbf);
  return Math.sqrt(2 * cost * mtbf) * (1 + Math.sqrt(ratio) / 3 + ratio / 9) - cost;
}

/** Of a job on so many nodes: each of them may fail. */
export function adaptiveInterval(
  cost: Cost | null,
  observed: Observed,
  nodeCount: number,
): { intervalMs: number; reason: string } {
  const mtbf = mtbfMs(observed) / Math.max(1, nodeCount);
  const source = sourceText(observed, nodeCount, mtbf);
  if (cost === null) {
    const intervalMs = Math.round(Math.min(FIRST_MS, mtbf));
    return { intervalMs, reason: `interval ${seconds(intervalMs)}: no cost is known yet, ${source}` };
  }
  const heldMs = Math.max(MIN_COST_MS, cost.heldMs);
  const best = daly(heldMs, mtbf);
  const intervalMs = Math.round(Math.max(best, cost.durationMs));
  const isRaised = cost.durationMs > best;
  const raised = isRaised
    ? `; raised from ${seconds(best)}, one checkpoint takes ${seconds(intervalMs)}`
    : '';
  return {
    intervalMs,
    reason: `interval ${seconds(intervalMs)}: cost ${seconds(heldMs)}, ${source}${raised}`,
  };
}
