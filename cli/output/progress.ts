/** Shows how far an operation is, on stderr: a bar on a terminal, one line per phase elsewhere. */

import type * as CliProgress from 'cli-progress';
import type { NodeProgress, Operation } from '../../proto/gen/holdfast/v1/coordinator';
import { formatSize } from './format';
import { note } from './terminal';

export interface ProgressDisplay {
  operation(operation: Operation): void;
  progress(progress: NodeProgress): void;
  stop(): void;
}

export interface Totals {
  readonly doneBytes: number;
  readonly totalBytes: number;
}

/** Sums what the nodes said last. */
export class NodeTotals {
  private readonly nodes = new Map<string, Totals>();

  update({ node, doneBytes, totalBytes }: NodeProgress): Totals {
    this.nodes.set(node, { doneBytes, totalBytes });
    let done = 0;
    let total = 0;
    for (const each of this.nodes.values()) {
      done += each.doneBytes;
      total += each.totalBytes;
    }
    return { doneBytes: Math.min(done, total), totalBytes: total };
  }

  clear(): void {
    this.nodes.clear();
  }
}

/** One line per phase, for logs. */
export function lineDisplay(what: string): ProgressDisplay {
  let phase = '';
  return {
    operation: (operation) => {
      if (operation.phase === phase) return;
      phase = operation.phase;
      note(`${what}: ${phase.toLowerCase()}`);
    },
    progress: () => undefined,
    stop: () => undefined,
  };
}

export function barDisplay(what: string): ProgressDisplay {
  // Loaded only here: most commands draw no bar.
  const { Presets, SingleBar } = require('cli-progress') as typeof CliProgress;
  const bar = new SingleBar(
    {
      format: `${what} {phase} [{bar}] {amount}`,
      hideCursor: true,
      clearOnComplete: true,
      stream: process.stderr,
    },
    Presets.legacy,
  );
  const totals = new NodeTotals();
  let phase = '';
  bar.start(1, 0, { phase: '', amount: '' });
  const enter = (next: string) => {
    if (next === phase) return;
    phase = next;
    totals.clear();
    bar.setTotal(1);
    bar.update(0, { phase: phase.toLowerCase(), amount: '' });
  };
  return {
    operation: (operation) => enter(operation.phase),
    progress: (progress) => {
      const { doneBytes, totalBytes } = totals.update(progress);
      bar.setTotal(Math.max(1, totalBytes));
      bar.update(doneBytes, { amount: `${formatSize(doneBytes)} of ${formatSize(totalBytes)}` });
    },
    stop: () => bar.stop(),
  };
}

const SILENT: ProgressDisplay = {
  operation: () => undefined,
  progress: () => undefined,
  stop: () => undefined,
};

export function chooseDisplay(what: string, json: boolean): ProgressDisplay {
  if (json) return SILENT;
  return process.stderr.isTTY && process.env.TERM !== 'dumb' ? barDisplay(what) : lineDisplay(what);
}
