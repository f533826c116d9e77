/** How often a node fails, from what was seen and what was believed before. Pure. */
import { hours } from '../schedule/words';

export interface Observed {
  readonly failures: number;
  /** Of all nodes together. */
  readonly uptimeMs: number;
}

/**
 * One failure in 30 days of one node. It is the cautious end of what clusters report, and weighs little: a hundred nodes
 * have replaced it by their own experience after a day.
 */
const PRIOR: Observed = { failures: 1, uptimeMs: 30 * 86_400_000 };

/** Mean time between failures of one node. */
export function mtbfMs({ failures, uptimeMs }: Observed): number {
  return (uptimeMs + PRIOR.uptimeMs) / (failures + PRIOR.failures);
}

/** "MTBF 13.1 h on 4 nodes from 4 failures in 52.4 h (prior: 1 in 720 h)" */
export function sourceText({ failures, uptimeMs }: Observed, nodeCount: number, jobMtbfMs: number): string {
  const where = nodeCount > 1 ? ` on ${nodeCount} nodes` : '';
  const count = `${failures} failure${failures === 1 ? '' : 's'}`;
  const prior = `(prior: ${PRIOR.failures} in ${hours(PRIOR.uptimeMs)})`;
  return `MTBF ${hours(jobMtbfMs)}${where} from ${count} in ${hours(uptimeMs)} ${prior}`;
}
