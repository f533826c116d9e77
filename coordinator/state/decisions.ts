/** What was decided about each job, and why: the last few, for whoever asks. */
import type { Redis } from 'ioredis';
import type { Logger } from '../../core/log';
import { Decision } from '../../proto/gen/holdfast/v1/coordinator';
import type { Clock } from '../clock';
import { KEYS } from './keys';

const KEPT = 20;
/** After the last one; as long as operations. */
const KEPT_DAYS = 30;

export type DecisionSubject = 'schedule' | 'checkpoint' | 'restart' | 'quarantine' | 'drain';

export class Decisions {
  /** The last one about each job's schedule. */
  readonly #schedules = new Map<string, string>();

  constructor(
    private readonly redis: Redis,
    private readonly clock: Clock,
    private readonly log: Logger,
  ) {}

  /** Nothing depends on it: a failure to store it is logged. */
  note(job: string, subject: DecisionSubject, reason: string): void {
    if (subject === 'schedule' && !this.#isNews(job, reason)) return;
    this.log.info({ job, subject, reason }, 'decision');
    const decision = Decision.toJSON({ timeMs: this.clock.wallMs(), subject, reason });
    this.redis
      .multi()
      .rpush(KEYS.decisions(job), JSON.stringify(decision))
      .ltrim(KEYS.decisions(job), -KEPT, -1)
      .expire(KEYS.decisions(job), KEPT_DAYS * 86_400)
      .exec()
      .catch((err) => this.log.error({ job, err }, 'decision not stored'));
  }

  /** The same interval from other figures is none: it would push out everything else. */
  #isNews(job: string, reason: string): boolean {
    const what = /^[^:;]*/.exec(reason)?.[0] ?? '';
    const isNews = this.#schedules.get(job) !== what;
    this.#schedules.set(job, what);
    return isNews;
  }

  /** Newest last. */
  async of(job: string): Promise<Decision[]> {
    const stored = await this.redis.lrange(KEYS.decisions(job), 0, -1);
    return stored.map((json) => Decision.fromJSON(JSON.parse(json)));
  }
}
