/** The audit log: every operation that was asked for, who asked, and what came of it. Never in the way of work. */
import type { Logger } from '../../core/log';
import { Signal } from '../signal';
import type { AuditEntry } from './entry';
import { LineFile } from './file';

/** Of a failure that goes on. */
const TOLD_EVERY_MS = 60_000;

export class Audit {
  readonly recorded = new Signal<AuditEntry>();
  /** Entries that are in no file. */
  readonly lost = new Signal<number>();
  #file: LineFile | null = null;
  readonly #recording = new Set<Promise<void>>();
  #toldMs = Number.NEGATIVE_INFINITY;

  private constructor(
    private readonly log: Logger,
    private readonly monotonicMs: () => number,
  ) {}

  /**
   * @param path undefined: entries are lines of the ordinary log
   * @throws HoldfastError WRONG_STATE when the file cannot be written
   */
  static async open(path: string | undefined, log: Logger, monotonicMs: () => number): Promise<Audit> {
    const audit = new Audit(log, monotonicMs);
    if (path !== undefined)
      audit.#file = await LineFile.open(path, (lines, error) => audit.#onLost(lines, error));
    return audit;
  }

  record(entry: AuditEntry): void {
    // The job as in every other line about it.
    if (this.#file === null) this.log.info({ job: entry.job, audit: entry }, 'audit');
    else this.#file.add(JSON.stringify(entry));
    this.recorded.emit(entry);
  }

  /** @param name of the user; null: unknown. Never rejects */
  recordWith(entry: AuditEntry, name: Promise<string | null>): void {
    const recording = name.then((user) => {
      this.#recording.delete(recording);
      this.record({ ...entry, user });
    });
    this.#recording.add(recording);
  }

  /** For logrotate: the file was moved away. */
  reopen(): void {
    this.#file?.reopen();
  }

  async close(): Promise<void> {
    await Promise.all(this.#recording);
    await this.#file?.close();
  }

  #onLost(lines: number, err: unknown): void {
    if (lines > 0) this.lost.emit(lines);
    if (this.monotonicMs() - this.#toldMs < TOLD_EVERY_MS) return;
    this.#toldMs = this.monotonicMs();
    this.log.error({ err, entries: lines }, 'the audit log cannot be written');
  }
}
