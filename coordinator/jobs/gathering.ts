/**
 * After a loss of Redis the trees of a job are known again only when every agent that lives has registered. Until then
 * no operation begins: it would see a part of the job and take it for the whole (B1, E3).
 */
import type { Redis } from 'ioredis';
import type { Job } from '../../proto/gen/holdfast/v1/coordinator';
import type { Clock } from '../clock';
import { KEYS } from '../state/keys';

export class Gathering {
  private constructor(
    private readonly clock: Clock,
    private readonly beganMs: number,
    private readonly endsAtMs: number,
  ) {}

  /** A coordinator that starts again in the middle of it begins it anew: who has registered is not stored. */
  static async begin(
    redis: Redis,
    clock: Clock,
    { isRebuilt, timeMs }: { isRebuilt: boolean; timeMs: number },
  ): Promise<Gathering> {
    const isOpen = isRebuilt || (await redis.exists(KEYS.gathering)) === 1;
    if (isOpen) await redis.set(KEYS.gathering, '1', 'PX', timeMs);
    return new Gathering(clock, clock.wallMs(), isOpen ? clock.monotonicMs() + timeMs : 0);
  }

  /** How long the job's operations have to wait; 0 for a job that was submitted since. */
  remainingMs({ createdMs }: Job): number {
    if (createdMs >= this.beganMs) return 0;
    return Math.max(0, Math.ceil(this.endsAtMs - this.clock.monotonicMs()));
  }
}
