/** What the nodes, and hooks of slurmctld, have told of Slurm jobs: in memory, written through to Redis, and forgotten after a week. */
import type { Redis } from 'ioredis';
import { HoldfastError } from '../../core/errors';
import { isCluster } from '../../core/slurm/names';
import { SlurmRecord } from '../../proto/gen/holdfast/v1/coordinator';
import type { Clock } from '../clock';
import { KEYS } from '../state/keys';

const KEPT_MS = 7 * 86_400_000;
const TOLD_MS = 86_400_000;
const MAX_REPORTED = 10_000;
const MAX_TEXT = 4_096;

const keyOf = ({ cluster, jobId, restartCount, node }: SlurmRecord): string =>
  `${cluster}/${jobId}/${restartCount}/${node}`;

/**
 * A node speaks for itself only.
 * @throws HoldfastError INVALID_ARGUMENT
 */
export function ofNode(records: readonly SlurmRecord[], node: string | null): SlurmRecord[] {
  const isGood = ({ cluster, jobId, nodeList, untracked, user }: SlurmRecord): boolean =>
    isCluster(cluster) && jobId > 0 && [nodeList, untracked, user].every((text) => text.length <= MAX_TEXT);
  if (node === null || records.length > MAX_REPORTED || !records.every(isGood))
    throw new HoldfastError('INVALID_ARGUMENT', 'not a report of a node about its Slurm jobs');
  return records.map((record) => ({ ...record, node }));
}

export class SlurmRecords {
  readonly #records = new Map<string, SlurmRecord>();

  private constructor(
    private readonly redis: Redis,
    private readonly clock: Clock,
  ) {}

  static async load(redis: Redis, clock: Clock): Promise<SlurmRecords> {
    const records = new SlurmRecords(redis, clock);
    for (const [key, json] of Object.entries(await redis.hgetall(KEYS.slurm)))
      records.#records.set(key, SlurmRecord.fromJSON(JSON.parse(json)));
    return records;
  }

  /** The newest first. */
  all(): SlurmRecord[] {
    return [...this.#records.values()].sort((a, b) => b.heardMs - a.heardMs);
  }

  /** What nobody knew of while it ran, of the last day. */
  untracked(): SlurmRecord[] {
    const sinceMs = this.clock.wallMs() - TOLD_MS;
    return this.all().filter(({ heardMs, untracked }) => untracked !== '' && heardMs >= sinceMs);
  }

  /** Of one record: what was known of it, or what it is without. Durable when the promise resolves. */
  update(fresh: SlurmRecord, change: (known: SlurmRecord) => SlurmRecord): Promise<void> {
    return this.put([change(this.#records.get(keyOf(fresh)) ?? fresh)]);
  }

  /** Durable when the promise resolves. */
  async put(records: readonly SlurmRecord[]): Promise<void> {
    if (records.length === 0) return;
    const old = this.old();
    for (const record of records) this.#records.set(keyOf(record), record);
    for (const key of old) this.#records.delete(key);
    const fields = records.flatMap((record) => [keyOf(record), JSON.stringify(SlurmRecord.toJSON(record))]);
    await this.redis.hset(KEYS.slurm, ...fields);
    if (old.length > 0) await this.redis.hdel(KEYS.slurm, ...old);
  }

  private old(): string[] {
    const limitMs = this.clock.wallMs() - KEPT_MS;
    return [...this.#records].filter(([, record]) => record.heardMs < limitMs).map(([key]) => key);
  }
}
