/** A running tree of test/victims/mutator.c: found, stopped and cloned from outside. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as delay } from 'node:timers/promises';
import type { SnapshotPids } from '../../../native';
import { adoptSnapshot, type Snapshot } from '../../../native/snapshot';
import { compileWithRemote } from '../remote/programs';

export interface MutatorProgram {
  start(seed: number): Promise<Mutators>;
  remove(): void;
}

export function buildMutator(): MutatorProgram {
  const directory = mkdtempSync(join(tmpdir(), 'holdfast-mutator-'));
  const program = compileWithRemote('mutator', directory);
  const cloner = compileWithRemote('clone_injector', directory);
  const mapped = join(directory, 'mapped');
  writeFileSync(mapped, Buffer.from(Array.from({ length: 256 * 4096 }, (_, i) => (i * 7 + (i >> 8)) & 0xff)));
  return {
    async start(seed) {
      // Without the areas in which the kernel keeps the number of a thread's processor up to date, also while it is stopped.
      const env = { GLIBC_TUNABLES: 'glibc.pthread.rseq=0' };
      const child = spawn(program, [String(seed), mapped], { stdio: ['ignore', 'pipe', 'inherit'], env });
      if (!child.stdout) throw new Error('the mutator has no output');
      const lines = createInterface({ input: child.stdout });
      await once(lines, 'line');
      return new Mutators(child, new Cloner(cloner));
    },
    remove: () => rmSync(directory, { recursive: true }),
  };
}

/** A running test/victims/clone_injector.c. */
class Cloner {
  readonly #child: ChildProcess;
  readonly #answers: AsyncIterator<string>;

  constructor(program: string) {
    this.#child = spawn(program, { stdio: ['pipe', 'pipe', 'inherit'] });
    if (!this.#child.stdout) throw new Error('the cloner has no output');
    this.#answers = createInterface({ input: this.#child.stdout })[Symbol.asyncIterator]();
  }

  async clone(pid: number): Promise<number> {
    this.#child.stdin?.write(`${pid}\n`);
    const clonePid = Number((await this.#answers.next()).value);
    if (!clonePid) throw new Error(`process ${pid} could not be cloned`);
    return clonePid;
  }

  end(): void {
    this.#child.stdin?.end();
  }
}

/** Empty when the process has ended. */
function readOrEmpty(path: string): string {
  try {
    return readFileSync(path, 'latin1');
  } catch {
    return '';
  }
}

function threadsOf(pid: number): number[] {
  try {
    return readdirSync(`/proc/${pid}/task`).map(Number);
  } catch {
    return [];
  }
}

function childrenOf(pid: number): number[] {
  return threadsOf(pid)
    .flatMap((tid) => readOrEmpty(`/proc/${pid}/task/${tid}/children`).split(' '))
    .filter((text) => text !== '')
    .map(Number);
}

/** As processState(), but Z for what is gone. */
const stateOf = (path: string): string => {
  const stat = readOrEmpty(`${path}/stat`);
  return stat === '' ? 'Z' : stat.charAt(stat.lastIndexOf(')') + 2);
};

const isStill = (pid: number): boolean =>
  threadsOf(pid).every((tid) => 'TZX'.includes(stateOf(`/proc/${pid}/task/${tid}`)));

export class Mutators {
  readonly #clones = new Map<number, Snapshot>();

  constructor(
    private readonly root: ChildProcess,
    private readonly cloner: Cloner,
  ) {}

  /** Of the tree as it is now: it changes. */
  pids(): number[] {
    const found = [this.root.pid ?? 0];
    for (let next = 0; next < found.length; next++) found.push(...childrenOf(found[next] ?? 0));
    return found.filter((pid) => !this.#clones.has(pid) && stateOf(`/proc/${pid}`) !== 'Z');
  }

  processes = () => this.pids().map((pid) => ({ pid, imagePid: pid }));

  /** Stops all of them; those that begin meanwhile, too: only when all were still before a look was this look complete. */
  async stop(): Promise<void> {
    for (;;) {
      const moving = this.pids().filter((pid) => !isStill(pid));
      if (moving.length === 0) return;
      for (const pid of moving) signal(pid, 'SIGSTOP');
      while (!moving.every(isStill)) await delay(1);
    }
  }

  resume(): void {
    for (const pid of this.pids()) signal(pid, 'SIGCONT');
  }

  /** A clone of each of the stopped processes, which never runs. */
  async clone(): Promise<SnapshotPids[]> {
    const clones: SnapshotPids[] = [];
    for (const pid of this.pids()) {
      const clonePid = await this.cloner.clone(pid);
      this.#clones.set(clonePid, adoptSnapshot(clonePid, pid));
      clones.push({ pid, clonePid });
    }
    return clones;
  }

  async endClones(): Promise<void> {
    for (const [pid, snapshot] of this.#clones) {
      await snapshot.close();
      this.#clones.delete(pid);
    }
  }

  async end(): Promise<void> {
    await this.endClones();
    this.cloner.end();
    const pids = this.pids();
    for (const pid of pids) signal(pid, 'SIGKILL');
    if (this.root.exitCode === null && this.root.signalCode === null) await once(this.root, 'exit');
    // Their parent is gone: whoever adopted them reaps them.
    while (pids.some((pid) => stateOf(`/proc/${pid}`) !== 'Z')) await delay(1);
  }
}

function signal(pid: number, name: NodeJS.Signals): void {
  try {
    process.kill(pid, name);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
  }
}
