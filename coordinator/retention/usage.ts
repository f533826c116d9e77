/** Who stores how much: measured by each sweep, and what is committed in between added (docs/architecture.md, C4: a cache). */
import type { Redis } from 'ioredis';
import { type CheckpointSummary, JobUsage, type UserUsage } from '../../proto/gen/holdfast/v1/coordinator';
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
  async addCommitted({ job, uid, uploadedBytes, createdMs }: CheckpointSummary): Promise<void> {
    const json = await this.redis.hget(KEYS.usage, job);
    const known = JobUsage.fromJSON(json === null ? {} : JSON.parse(json));
    // A sweep was faster.
    if (known.measuredMs > createdMs) return;
    await this.put({
      ...{ job, uid, measuredMs: known.measuredMs },
      generations: known.generations + 1,
      liveBytes: known.liveBytes + uploadedBytes,
      storedBytes: known.storedBytes + uploadedBytes,
    });
  }
}

/** By user. Pure. */
export function sumByUser(jobs: readonly JobUsage[], quotaOf: (uid: number) => number): UserUsage[] {
  const users = new Map<number, UserUsage>();
  for (const { uid, generations, liveBytes, storedBytes } of jobs) {
    if (uid === undefined) continue;
    const sum = users.get(uid);
    users.set(uid, {
      uid,
      generations: (sum?.generations ?? 0) + generations,
      liveBytes: (sum?.liveBytes ?? 0) + liveBytes,
      storedBytes: (sum?.storedBytes ?? 0) + storedBytes,
      quotaBytes: quotaOf(uid),
    });
  }
  return [...users.values()].sort((a, b) => a.uid - b.uid);
}
