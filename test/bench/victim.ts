/** The program that is checkpointed (test/victims/dirtier.c), told what to write and asked what it saw. */
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { compileVictim } from '../harness/victims';
import type { Stage } from './stage';

export type Mode =
  | 'idle'
  | 'loop'
  | 'stream'
  | 'read'
  | { readonly pagesPerSecond: number }
  | { readonly burst: number };

/** Names as in the status file. */
export type Status = Readonly<Record<string, number>>;

export interface Window {
  /** The longest time in which the victim was not let run. */
  readonly gapMs: number;
  readonly lengthMs: number;
  readonly pages: number;
}

export const PAGES_PER_MIB = 256;

function commandOf(mode: Mode): string {
  if (typeof mode === 'string') return mode;
  return 'burst' in mode ? `burst ${mode.burst}` : `rate ${mode.pagesPerSecond}`;
}

const LOOK_EVERY_MS = 2;
const ANSWER_LIMIT_MS = 120_000;

export function parseStatus(text: string): Status | null {
  const status = Object.fromEntries(
    [...text.matchAll(/^(\w+)=(\d+)$/gm)].map(([, name, value]) => [name, Number(value)]),
  );
  // It may be read while it is written: then the first and the last line are not of one beat.
  return status.beats !== undefined && status.beats === status.end ? status : null;
}

export class BenchVictim {
  private sequence = 0;

  private constructor(
    readonly sizeMib: number,
    private readonly child: ChildProcess,
    /** As the node sees it. */
    readonly pid: number,
    private readonly files: { readonly control: string; readonly status: string },
  ) {}

  /** Resolves when its memory is filled. */
  static async start(stage: Stage, name: string, sizeMib: number): Promise<BenchVictim> {
    const program = compileVictim('dirtier', stage.memory);
    const files = {
      control: join(stage.memory, `${name}.control`),
      status: join(stage.memory, `${name}.status`),
    };
    writeFileSync(files.control, `${'0 idle'.padEnd(40)}\n`);
    writeFileSync(files.status, '');
    const argv = [program, String(sizeMib), files.control, files.status];
    const child = stage.node.spawn(argv, { cwd: stage.memory, stdio: 'ignore' });
    const pid = await stage.node.pidOf(child);
    const victim = new BenchVictim(sizeMib, child, pid, files);
    await victim.until('its first beat', (status) => (status.beats ?? 0) > 0);
    return victim;
  }

  status(): Status | null {
    return parseStatus(readFileSync(this.files.status, 'utf8'));
  }

  /** Begins a window in a mode; resolves with the one that ended. */
  async tell(mode: Mode): Promise<Window> {
    this.sequence += 1;
    writeFileSync(this.files.control, `${`${this.sequence} ${commandOf(mode)}`.padEnd(40)}\n`);
    const status = await this.until('an answer', (seen) => seen.sequence === this.sequence);
    const { last_gap_ns: gapNs = 0, last_ns: lengthNs = 0, last_pages: pages = 0 } = status;
    return { gapMs: gapNs / 1e6, lengthMs: lengthNs / 1e6, pages };
  }

  /** What it saw while something was done to it. */
  async during<T>(mode: Mode, action: () => Promise<T>): Promise<{ window: Window; result: T }> {
    await this.tell(mode);
    const result = await action();
    return { window: await this.tell(mode), result };
  }

  /** Until it has written so many pages since the last tell(). */
  async written(pages: number): Promise<void> {
    await this.until(`${pages} pages written`, (status) => (status.pages ?? 0) >= pages);
  }

  /** Blots out what it told: all that is read from now on is new. The file keeps its size, which a restart expects. */
  forget(): void {
    writeFileSync(this.files.status, ' '.repeat(statSync(this.files.status).size));
  }

  /** Until it has written a page since forget(), in a mode in which it writes. */
  async progressed(): Promise<void> {
    const { pages = 0 } = await this.until('beat', () => true);
    await this.until('page written', (status) => (status.pages ?? 0) > pages);
  }

  /** Lets it look at every page. */
  async verify(): Promise<void> {
    await this.tell('read');
    const { bad_pages: bad } = await this.until('end of reading', (status) => (status.reads_done ?? 0) > 0);
    if (bad !== 0) throw new Error(`the victim of ${this.sizeMib} MiB found ${bad} wrong pages`);
  }

  async until(what: string, found: (status: Status) => boolean): Promise<Status> {
    for (const deadline = Date.now() + ANSWER_LIMIT_MS; Date.now() < deadline; await delay(LOOK_EVERY_MS)) {
      const status = this.status();
      if (status !== null && found(status)) return status;
    }
    throw new Error(`the victim of ${this.sizeMib} MiB: no ${what} within ${ANSWER_LIMIT_MS / 1000} s`);
  }

  async kill(): Promise<void> {
    if (this.child.exitCode !== null || this.child.signalCode !== null) return;
    const closed = once(this.child, 'close');
    this.child.kill('SIGKILL');
    await closed;
  }
}
