/** A running test/victims/steady.c, in a cell or not. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { openSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { compileVictim } from '../../harness/victims';
import { TestCell, USER, until, type Workshop } from './support';

const MIB = 16;
export const RECOVERY_MS = 5000;
/** Pid of the root in every cell here, and a pid above all of the tree. */
export const ROOT = 6000;
export const ADOPTING = 9000;

/** What the victim shows of itself. */
export class Beats {
  constructor(readonly directory: string) {}

  beats(): number {
    try {
      return Number(readFileSync(join(this.directory, 'status'), 'utf8'));
    } catch {
      return 0;
    }
  }

  /** Rejects when the beat does not go on; a beat needs the memory and the connection. */
  async goesOn(limitMs = RECOVERY_MS): Promise<void> {
    const before = this.beats();
    const begun = Date.now();
    while (this.beats() < before + 5) {
      if (Date.now() - begun > limitMs) throw new Error(`no beat for ${limitMs} ms: ${this.output()}`);
      await delay(5);
    }
  }

  output(): string {
    return readFileSync(join(this.directory, 'out'), 'utf8');
  }

  /** The status file as it was, so that a new beat shows. */
  resetTo(beats: number): void {
    writeFileSync(join(this.directory, 'status'), `${String(beats).padEnd(31)}\n`);
  }

  /** Lets it verify everything and end. */
  stop(): void {
    writeFileSync(join(this.directory, 'stop'), '');
  }
}

function commandLine(workshop: Workshop, directory: string): string[] {
  const victim = compileVictim('steady', workshop.path);
  return [victim, String(MIB), join(directory, 'status'), join(directory, 'stop')];
}

export class Steady extends Beats {
  private constructor(
    readonly cell: TestCell,
    directory: string,
  ) {
    super(directory);
  }

  /** @param wrap puts the victim's command line into another */
  static async start(workshop: Workshop, wrap = (own: string[]) => own): Promise<Steady> {
    const directory = workshop.directory(0o777);
    const cell = await TestCell.start(workshop, {
      command: wrap(commandLine(workshop, directory)),
      stay: true,
      firstPid: ROOT,
      cwd: directory,
      output: join(directory, 'out'),
    });
    const steady = new Steady(cell, directory);
    await until(() => steady.beats() > 10);
    return steady;
  }
}

/** The same program as an ordinary process of the node. */
export class Outside extends Beats {
  private constructor(
    readonly child: ChildProcess,
    directory: string,
  ) {
    super(directory);
  }

  static async start(workshop: Workshop): Promise<Outside> {
    const directory = workshop.directory(0o777);
    const [program = '', ...args] = commandLine(workshop, directory);
    const output = openSync(join(directory, 'out'), 'a', 0o644);
    const child = spawn(program, args, {
      detached: true,
      stdio: ['ignore', output, output],
      uid: USER.uid,
      gid: USER.gid,
    });
    workshop.adopt(child);
    const outside = new Outside(child, directory);
    await until(() => outside.beats() > 10);
    return outside;
  }

  get pid(): number {
    if (this.child.pid === undefined) throw new Error('the victim did not start');
    return this.child.pid;
  }

  async ended(): Promise<unknown> {
    this.stop();
    return (await once(this.child, 'exit'))[0];
  }
}
