/** Turns a job's events into the few sentences a person wants to read, each once. */

import type { Job, Node, Operation } from '../../proto/gen/holdfast/v1/coordinator';
import type { WatchEvent } from '../client/observe';
import { formatDuration, formatSize } from './format';
import { hasEnded, jobNodes, jobState } from './views';

/** "checkpoint 12 committed (generation 3): …", for an operation that has reached DONE. */
export function describeCheckpoint(operation: Operation): string {
  const { summary } = operation;
  const name = `checkpoint ${operation.ckptId} of job ${operation.job} committed (generation ${operation.generation})`;
  if (!summary) return name;
  return (
    `${name}: captured ${formatSize(summary.capturedBytes)}, uploaded ${formatSize(summary.uploadedBytes)}, ` +
    `held ${formatDuration(summary.heldMs)}, took ${formatDuration(summary.durationMs)}`
  );
}

function because(reason: string): string {
  return reason ? `: ${reason}` : '';
}

/** A job that is stopped or lost ends the command with an error that says so. */
function describeJob(job: Job): string | undefined {
  const where = jobNodes(job).join(', ');
  switch (jobState(job)) {
    case 'RUNNING': {
      const turn = job.incarnation > 1 ? ` (incarnation ${job.incarnation})` : '';
      return `job ${job.id} runs${where && ` on ${where}`}${turn}`;
    }
    case 'RESTARTING':
      return `job ${job.id} restarts from its last checkpoint${because(job.reason)}`;
    case 'FAILED':
      return `job ${job.id} failed${job.exitCode === undefined ? '' : ` with exit code ${job.exitCode}`}${because(job.reason)}`;
    default:
      return undefined;
  }
}

function describeOperation(operation: Operation): string | undefined {
  const restart = operation.kind.endsWith('RESTART');
  const what = restart ? `restart of job ${operation.job}` : `checkpoint of job ${operation.job}`;
  if (operation.phase === 'DONE' && !restart) return describeCheckpoint(operation);
  if (operation.phase !== 'ABORT') return undefined;
  return `${what} is aborted${because(operation.error?.message ?? '')}`;
}

export class Narrator {
  private lastJob = '';
  private readonly operations = new Map<string, string>();
  private readonly lostNodes = new Set<string>();

  constructor(private readonly say: (sentence: string) => void) {}

  event(event: WatchEvent): void {
    if (event.$case === 'job') this.job(event.value);
    if (event.$case === 'operation') this.operation(event.value);
    if (event.$case === 'node') this.node(event.value);
  }

  job(job: Job): void {
    const key = `${job.state} ${job.incarnation} ${hasEnded(job) ? '' : jobNodes(job)}`;
    if (key === this.lastJob) return;
    this.lastJob = key;
    this.tell(describeJob(job));
  }

  private operation(operation: Operation): void {
    if (this.operations.get(operation.id) === operation.phase) return;
    this.operations.set(operation.id, operation.phase);
    this.tell(describeOperation(operation));
  }

  private node(node: Node): void {
    if (node.alive === !this.lostNodes.has(node.name)) return;
    if (node.alive) this.lostNodes.delete(node.name);
    else this.lostNodes.add(node.name);
    this.tell(`node ${node.name} ${node.alive ? 'is back' : 'is lost'}`);
  }

  private tell(sentence: string | undefined): void {
    if (sentence !== undefined) this.say(sentence);
  }
}
