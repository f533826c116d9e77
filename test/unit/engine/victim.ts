/** A running test/victims/memory.c, or another of these victims that is driven by lines. */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as delay } from 'node:timers/promises';

const VICTIMS = join(__dirname, '../../victims');

export interface VictimProgram {
  start(): Promise<Victim>;
  /** Kills what still runs and waits until it is gone. */
  endAll(): Promise<void>;
  /** Kills what still runs and removes the program. */
  remove(): void;
}

export function buildVictim(name: 'memory' | 'pages' = 'memory'): VictimProgram {
  const directory = mkdtempSync(join(tmpdir(), 'holdfast-engine-'));
  const program = join(directory, name);
  const source = join(VICTIMS, `${name}.c`);
  const mapped = join(directory, 'mapped');
  execFileSync('gcc', ['-O2', '-Wall', '-Wextra', '-Werror', '-o', program, source], { stdio: 'inherit' });
  writeFileSync(mapped, Buffer.from(Array.from({ length: 64 * 4096 }, (_, i) => (i * 7 + (i >> 8)) & 0xff)));
  const victims: Victim[] = [];
  return {
    async start() {
      const victim = new Victim(program, mapped);
      victims.push(victim);
      await victim.untilLine('ready');
      return victim;
    },
    async endAll() {
      for (const victim of victims.splice(0)) await victim.ended();
    },
    remove() {
      for (const victim of victims) victim.kill();
      rmSync(directory, { recursive: true });
    },
  };
}

/** One letter, as in proc(5). */
export function processState(pid: number): string {
  const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
  return stat.charAt(stat.lastIndexOf(')') + 2);
}

export async function untilState(pid: number, state: string): Promise<void> {
  while (processState(pid) !== state) await delay(1);
}

export async function stopProcess(pid: number): Promise<void> {
  process.kill(pid, 'SIGSTOP');
  await untilState(pid, 'T');
}

export class Victim {
  readonly #child: ChildProcess;
  readonly #lines: AsyncIterator<string>;
  readonly pid: number;
  hugePages = false;
  guards = false;

  constructor(program: string, mapped: string) {
    // The same environment for all: it is a part of the memory layout.
    this.#child = spawn(program, [mapped], { stdio: ['pipe', 'pipe', 'inherit'], env: {} });
    const { stdout, pid } = this.#child;
    if (!stdout || !pid) throw new Error(`cannot start ${program}`);
    this.#lines = createInterface({ input: stdout })[Symbol.asyncIterator]();
    this.pid = pid;
  }

  /** The lines before `last`. */
  async untilLine(last: string): Promise<string[]> {
    const lines: string[] = [];
    for (;;) {
      const { value, done } = await this.#lines.next();
      if (done) throw new Error(`the victim ended before it said ${last}`);
      if (value === 'hugepages yes') this.hugePages = true;
      if (value === 'guards yes') this.guards = true;
      if (value === last || value.startsWith(`${last} `)) return [...lines, value];
      lines.push(value);
    }
  }

  /** Sends a command and returns its answer's lines. */
  async ask(command: string, lastLine: string): Promise<string[]> {
    this.#child.stdin?.write(`${command}\n`);
    return this.untilLine(lastLine);
  }

  /** Checksums of all regions. */
  sums(): Promise<string[]> {
    return this.ask('sum', 'done');
  }

  async stop(): Promise<void> {
    // It must be back in read(2), where a filled process goes on.
    await untilState(this.pid, 'S');
    await stopProcess(this.pid);
  }

  resume(): void {
    process.kill(this.pid, 'SIGCONT');
  }

  kill(): void {
    this.#child.kill('SIGKILL');
  }

  async ended(): Promise<void> {
    this.kill();
    if (this.#child.exitCode === null && this.#child.signalCode === null) await once(this.#child, 'exit');
  }
}
