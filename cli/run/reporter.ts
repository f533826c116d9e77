/** The two ways to tell what a job does: for people (output on stdout, notes on stderr) and as JSON lines. */

import { StringDecoder } from 'node:string_decoder';
import type { Job } from '../../proto/gen/holdfast/v1/coordinator';
import type { WatchEvent } from '../client/observe';
import { formatSize } from '../output/format';
import { note, printJson } from '../output/terminal';
import { viewJob, viewNode, viewOperation } from '../output/views';

export interface Reporter {
  output(offset: number, bytes: Buffer): Promise<void>;
  rolledBack(fromBytes: number, toBytes: number): void;
  note(sentence: string): void;
  event(event: WatchEvent): void;
  /** The job as it was found at a turning point: "submitted", "restarted", "ended". */
  job(turn: 'submitted' | 'restarted' | 'ended', job: Job): void;
}

/** Resolves when the reader has taken the bytes, so that a slow reader slows the copying and nothing piles up. */
function writeOut(bytes: Buffer): Promise<void> {
  return new Promise((resolve) => {
    process.stdout.write(bytes, () => resolve());
  });
}

export function plainReporter(): Reporter {
  return {
    output: (_offset, bytes) => writeOut(bytes),
    rolledBack: (fromBytes, toBytes) =>
      note(
        `output was rolled back from ${formatSize(fromBytes)} to ${formatSize(toBytes)} with the job; what follows may repeat`,
      ),
    note,
    event: () => undefined,
    job: (turn, job) => {
      if (turn !== 'ended') note(`job ${job.id} ${turn}, output in ${job.spec?.outputPath ?? 'no file'}`);
    },
  };
}

function viewEvent(event: WatchEvent): object | undefined {
  switch (event.$case) {
    case 'job':
      return { event: 'job', job: viewJob(event.value) };
    case 'operation':
      return { event: 'operation', operation: viewOperation(event.value) };
    case 'node':
      return { event: 'node', node: viewNode(event.value) };
    case 'progress': {
      const { operation, node, phase, doneBytes, totalBytes } = event.value;
      return { event: 'progress', operation, node, phase, doneBytes, totalBytes };
    }
  }
}

/** Text that is not UTF-8 is shown with replacement characters; the file has the bytes. */
export function jsonReporter(): Reporter {
  const decoder = new StringDecoder('utf8');
  return {
    output: async (offset, bytes) => {
      await writeOut(
        Buffer.from(`${JSON.stringify({ event: 'output', offset, text: decoder.write(bytes) })}\n`),
      );
    },
    rolledBack: (fromBytes, toBytes) => printJson({ event: 'rolledBack', fromBytes, toBytes }),
    note: (sentence) => printJson({ event: 'note', text: sentence }),
    event: (event) => {
      const line = viewEvent(event);
      if (line) printJson(line);
    },
    job: (turn, job) => printJson({ event: turn, job: viewJob(job) }),
  };
}
