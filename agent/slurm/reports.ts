/**
 * What the hooks told, kept in the run directory until the coordinator has it: neither a restart of the agent nor a
 * coordinator that is away loses any of it (H2).
 */
import { existsSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import type { Logger } from 'pino';
import { z } from 'zod';
import { type HookMessage, isOfNode, parseHookMessage } from '../../core/slurm/message';
import { SlurmRecord } from '../../proto/gen/holdfast/v1/coordinator';
import { readJson, writeJson } from '../runDirectory';
import { keyOf, recordAfter } from './register';

const RETRY_MS = 5_000;
/** The oldest that have ended are forgotten beyond this. */
const MAX_RECORDS = 1_000;

const kept = z.object({ records: z.array(z.unknown()), told: z.array(z.string()) });

export interface ReportsParts {
  readonly directory: string;
  readonly log: Logger;
  /** Tells the coordinator; fails when it cannot be reached. */
  readonly send: (records: SlurmRecord[]) => Promise<void>;
  readonly nowMs?: () => number;
}

export class SlurmReports {
  readonly #records = new Map<string, SlurmRecord>();
  /** Keys of records that the coordinator has as they are. */
  readonly #told = new Set<string>();
  readonly #timer: NodeJS.Timeout;
  #sending = false;

  constructor(private readonly parts: ReportsParts) {
    const stored = kept.safeParse(readJson(this.file)).data;
    for (const json of stored?.records ?? []) {
      const record = SlurmRecord.fromJSON(json);
      this.#records.set(keyOf(record), record);
    }
    for (const key of stored?.told ?? []) if (this.#records.has(key)) this.#told.add(key);
    this.#timer = setInterval(() => this.deliver(), RETRY_MS);
    this.#timer.unref();
    this.deliver();
  }

  /** Is the Slurm job registered here, in any of its runs? */
  knows(jobId: number): boolean {
    return [...this.#records.values()].some((record) => record.jobId === jobId && record.registeredMs > 0);
  }

  heard(message: HookMessage): void {
    const record = recordAfter(this.#records, message, (this.parts.nowMs ?? Date.now)());
    if (record === null) return;
    const key = keyOf(record);
    this.#records.delete(key); // the newest last
    this.#records.set(key, record);
    this.#told.delete(key);
    this.forget();
    this.keep();
    this.deliver();
  }

  close(): void {
    clearInterval(this.#timer);
  }

  private get file(): string {
    return join(this.parts.directory, 'slurm.json');
  }

  /** What the hooks could not tell while no agent listened. */
  private readMissed(): void {
    const path = join(this.parts.directory, 'missed-hooks');
    if (!existsSync(path)) return;
    const lines = readFileSync(path, 'utf8').split('\n');
    rmSync(path);
    for (const message of lines.map(parseHookMessage)) {
      if (message === null || message.missedMs === undefined || !isOfNode(message)) continue;
      this.parts.log.warn(
        { event: message.event, slurmJob: message.jobId, why: message.why },
        'a hook was not heard',
      );
      this.heard(message);
    }
  }

  private deliver(): void {
    try {
      if (!this.#sending) this.readMissed();
    } catch (err) {
      this.parts.log.error({ err }, 'missed hooks not read');
    }
    const news = [...this.#records].filter(([key]) => !this.#told.has(key));
    if (this.#sending || news.length === 0) return;
    this.#sending = true;
    this.parts
      .send(news.map(([, record]) => record))
      .then(
        () => {
          // One that has changed meanwhile is another object.
          for (const [key, record] of news) if (this.#records.get(key) === record) this.#told.add(key);
          this.keep();
        },
        (err) => this.parts.log.debug({ err }, 'the coordinator does not know of Slurm jobs yet'),
      )
      .finally(() => {
        this.#sending = false;
      });
  }

  private forget(): void {
    for (const [key, { endedMs }] of this.#records) {
      if (this.#records.size <= MAX_RECORDS) return;
      if (endedMs > 0) this.#records.delete(key);
    }
  }

  private keep(): void {
    const records = [...this.#records.values()].map((record) => SlurmRecord.toJSON(record));
    writeJson(this.file, { records, told: [...this.#told] });
  }
}
