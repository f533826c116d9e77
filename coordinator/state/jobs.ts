/** The jobs: in memory for decisions, written through to Redis in the order of the changes. */
import type { Redis } from 'ioredis';
import { HoldfastError } from '../../core/errors';
import { Job, JobState } from '../../proto/gen/holdfast/v1/coordinator';
import { tell } from '../events/entry';
import { Signal } from '../signal';
import { KEYS } from './keys';

const ENDED: ReadonlySet<JobState> = new Set([
  JobState.COMPLETED,
  JobState.FAILED,
  JobState.STOPPED,
  JobState.LOST,
]);

export function isEnded(job: Job): boolean {
  return ENDED.has(job.state);
}

/** The nodes that host a tree of the job, the main tree's first. */
export function nodesOf(job: Job): string[] {
  const ordered = [...job.trees].sort((a, b) => Number(b.main) - Number(a.main));
  return [...new Set(ordered.map((tree) => tree.node))];
}

/** Without its main tree a job can only end, or be restarted. */
export function hasMain(job: Job): boolean {
  return job.trees.some(({ main }) => main);
}

export class JobTable {
  readonly changed = new Signal<Job>();
  readonly #jobs = new Map<string, Job>();

  private constructor(private readonly redis: Redis) {}

  static async load(redis: Redis): Promise<JobTable> {
    const table = new JobTable(redis);
    for (const [id, json] of Object.entries(await redis.hgetall(KEYS.jobs))) {
      table.#jobs.set(id, Job.fromJSON(JSON.parse(json)));
    }
    return table;
  }

  all(): Job[] {
    return [...this.#jobs.values()];
  }

  find(id: string): Job | undefined {
    return this.#jobs.get(id);
  }

  /** @throws HoldfastError NOT_FOUND */
  get(id: string): Job {
    const job = this.#jobs.get(id);
    if (job === undefined) throw new HoldfastError('NOT_FOUND', `there is no job ${id}`);
    return job;
  }

  /** New or whole; visible at once, durable when the promise resolves. */
  async put(job: Job): Promise<Job> {
    this.#jobs.set(job.id, job);
    this.changed.emit(job);
    const text = JSON.stringify(Job.toJSON(job));
    const step = this.redis.multi().hset(KEYS.jobs, job.id, text);
    await tell(step, { kind: 'job', subject: job.id, job: job.id, isOver: isEnded(job), text }).exec();
    return job;
  }

  /** Applies a change to the job as it is now: between two awaits nobody else's change is lost. */
  update(id: string, change: (job: Job) => Partial<Job>): Promise<Job> {
    const job = this.get(id);
    return this.put({ ...job, ...change(job) });
  }
}
