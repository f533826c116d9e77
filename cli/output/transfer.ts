/** Shows how many bytes went through, on stderr: a bar on a terminal, nothing elsewhere. */

import type * as CliProgress from 'cli-progress';
import { formatSize } from './format';

export interface Meter {
  /** @param totalBytes 0: not known */
  start(totalBytes: number): void;
  update(doneBytes: number): void;
  stop(): void;
}

const SILENT: Meter = { start: () => undefined, update: () => undefined, stop: () => undefined };

function barMeter(what: string): Meter {
  // Loaded only here: most commands draw no bar.
  const { Presets, SingleBar } = require('cli-progress') as typeof CliProgress;
  let total = 0;
  let bar: CliProgress.SingleBar | undefined;
  return {
    start: (totalBytes) => {
      total = totalBytes;
      const format = totalBytes > 0 ? `${what} [{bar}] {amount}` : `${what} {amount}`;
      bar = new SingleBar({ format, hideCursor: true, stream: process.stderr }, Presets.legacy);
      bar.start(Math.max(1, total), 0, { amount: '' });
    },
    update: (doneBytes) => {
      const amount = total > 0 ? `${formatSize(doneBytes)} of ${formatSize(total)}` : formatSize(doneBytes);
      bar?.update(doneBytes, { amount });
    },
    stop: () => bar?.stop(),
  };
}

export function chooseMeter(what: string, json: boolean): Meter {
  return !json && process.stderr.isTTY && process.env.TERM !== 'dumb' ? barMeter(what) : SILENT;
}
