/** A running test/victims/family.c: three processes with threads, pipes, sockets and waits that must stay right. */
import { type ChildProcess, spawn } from 'node:child_process';
import { openSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { compileVictim } from '../../harness/victims';
import { readProc, USER, until, type Workshop } from './support';

export interface FamilyStatus {
  readonly round: number;
  readonly eof: number;
  readonly reaped: number;
  readonly sigchld: number;
  readonly sigterm: number;
  /** Address at which the kernel keeps numbers of processors, for the leaders of all three. */
  readonly rseq: number;
}

export class Family {
  private constructor(
    readonly child: ChildProcess,
    readonly directory: string,
    readonly pid: number,
  ) {}

  static async start(workshop: Workshop, mib = 4): Promise<Family> {
    const directory = workshop.directory(0o777);
    const output = openSync(join(directory, 'out'), 'a', 0o644);
    const args = [String(mib), join(directory, 'status'), join(directory, 'stop')];
    const child = spawn(compileVictim('family', workshop.path), args, {
      detached: true,
      stdio: ['ignore', output, output],
      uid: USER.uid,
      gid: USER.gid,
    });
    workshop.adopt(child);
    const family = new Family(child, directory, child.pid ?? 0);
    await until(() => family.status().round > 10);
    return family;
  }

  status(): FamilyStatus {
    let text = '';
    try {
      text = readFileSync(join(this.directory, 'status'), 'utf8');
    } catch {
      // Not there yet.
    }
    const [round, eof, reaped, sigchld, sigterm, rseq] = (text.match(/\d+/g) ?? []).map(Number);
    return {
      round: round ?? 0,
      eof: eof ?? 0,
      reaped: reaped ?? 0,
      sigchld: sigchld ?? 0,
      sigterm: sigterm ?? 0,
      rseq: rseq ?? 0,
    };
  }

  /** All that the kernel lists as children, clones included. */
  children(pid = this.pid): number[] {
    return (readProc(pid, `task/${pid}/children`) ?? '')
      .trim()
      .split(' ')
      .filter((text) => text !== '')
      .map(Number);
  }

  async goesOn(): Promise<void> {
    const { round } = this.status();
    await until(() => this.status().round > round + 5 || this.child.exitCode !== null);
    if (this.child.exitCode !== null) throw new Error(this.output());
  }

  output(): string {
    return readFileSync(join(this.directory, 'out'), 'utf8');
  }

  /** Its exit code: 42 when it found nothing wrong. */
  async ended(): Promise<number | null> {
    writeFileSync(join(this.directory, 'stop'), '');
    await until(() => this.child.exitCode !== null || this.child.signalCode !== null);
    return this.child.exitCode;
  }
}
