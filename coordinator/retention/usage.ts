/** Who stores how much: measured by each sweep, and what is committed in between added (docs/architecture.md, C4: a cache). */
import type { Redis } from 'ioredis';
import {
  type AccountUsage,
  type CheckpointSummary,
  JobUsage,
  type UserUsage,
} from '../../proto/gen/holdfast/v1/coordinator';
import { KEYS } from '../state/keys';

export class UsageTable {
  constructor(private readonly redis: Redis) {}

  async all(): Promise<JobUsage[]> {
    const all = Object.values(await this.redis.hgetall(KEYS.usage));
    return all.map((json) => JobUsage.fromJSON(JSON.parse(json))).sort((a, b) => (a.job < b.job ? -1 : 1));
  }

  /** Of a job that stores nothing any more, nothing is kept. */
  async put(usage: JobUsage): Promise<void> {
    if (usage.storedBytes === 0 && usage.generations === 0) await this.redis.hdel(KEYS.usage, usage.job);
    else await this.redis.hset(KEYS.usage, usage.job, JSON.stringify(JobUsage.toJSON(usage)));
  }

  /** Under the job's lock, as put() is. */
  async addCommitted({ job, uid, account, uploadedBytes, createdMs }: CheckpointSummary): Promise<void> {
    const json = await this.redis.hget(KEYS.usage, job);
    const known = JobUsage.fromJSON(json === null ? {} : JSON.parse(json));
    // A sweep was faster.
    if (known.measuredMs > createdMs) return;
    await this.put({
      ...{ job, uid, account, measuredMs: known.measuredMs },
      generations: known.generations + 1,
      liveBytes: known.liveBytes + uploadedBytes,
      storedBytes: known.storedBytes + uploadedBytes,
    });
  }
}

type Sum = Pick<JobUsage, 'generations' | 'liveBytes' | 'storedBytes'>;

/** By user. Pure. */
export function sumByUser(jobs: readonly JobUsage[], quotaOf: (uid: number) => number): UserUsage[] {
  const users = sumBy(jobs, ({ uid }) => uid);
  return users.map(([uid, sum]) => ({ uid, ...sum, quotaBytes: quotaOf(uid) })).sort((a, b) => a.uid - b.uid);
}

/** By account. Pure. */
export function sumByAccount(
  jobs: readonly JobUsage[],
  quotaOf: (account: string) => number,
): AccountUsage[] {
  const accounts = sumBy(jobs, ({ account }) => account || undefined);
  return accounts
    .map(([account, sum]) => ({ account, ...sum, quotaBytes: quotaOf(account) }))
    .sort((a, b) => (a.account < b.account ? -1 : 1));
}

/** @param whose undefined: nobody's */
function sumBy<K>(jobs: readonly JobUsage[], whose: (job: JobUsage) => K | undefined): [K, Sum][] {
  const sums = new Map<K, Sum>();
  for (const job of jobs) {
    const key = whose(job);
    if (key === undefined) continue;
    const sum = sums.get(key) ?? { generations: 0, liveBytes: 0, storedBytes: 0 };
    sums.set(key, {
      generations: sum.generations + job.generations,
      liveBytes: sum.liveBytes + job.liveBytes,
      storedBytes: sum.storedBytes + job.storedBytes,
    });
  }
  return [...sums];
}
