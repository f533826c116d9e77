/** Cells, holds and small victims for the tests of the native programs. Everything made here ends with the test. */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  chmodSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as delay } from 'node:timers/promises';
import { nativeProgram } from '../../../agent/criu/program';

export const USER = { uid: 12345, gid: 12346, groups: [20, 12346, 12399] } as const;

/** A directory that every user can enter, with the programs that run as the user. */
export class Workshop {
  readonly path = mkdtempSync(join(tmpdir(), 'holdfast-programs-'));
  readonly #children = new Set<ChildProcess>();
  #made = 0;

  constructor() {
    chmodSync(this.path, 0o755);
    copyFileSync(nativeProgram('holdfast-root'), join(this.path, 'holdfast-root'));
    chmodSync(join(this.path, 'holdfast-root'), 0o755);
  }

  get rootProgram(): string {
    return join(this.path, 'holdfast-root');
  }

  directory(mode = 0o755): string {
    this.#made += 1;
    const path = join(this.path, `directory-${this.#made}`);
    mkdirSync(path);
    chmodSync(path, mode);
    return path;
  }

  spawn(program: string, args: readonly string[], env: NodeJS.ProcessEnv = process.env): Running {
    const child = spawn(program, args, { detached: true, stdio: ['pipe', 'pipe', 'pipe'], env });
    this.adopt(child);
    return new Running(child);
  }

  /** Sees to it that a child ends with the test. */
  adopt(child: ChildProcess): void {
    this.#children.add(child);
    child.on('close', () => this.#children.delete(child));
  }

  /** Kills what still runs and waits until it is gone. */
  async end(): Promise<void> {
    for (const child of this.#children) {
      const closed = once(child, 'close');
      child.kill('SIGKILL');
      await closed;
    }
    rmSync(this.path, { recursive: true, force: true });
  }
}

export interface Ended {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

/** A child whose output is collected. */
export class Running {
  stdout = '';
  stderr = '';
  readonly ended: Promise<Ended>;

  constructor(readonly child: ChildProcess) {
    child.stdout?.on('data', (data: Buffer) => {
      this.stdout += data.toString();
    });
    child.stderr?.on('data', (data: Buffer) => {
      this.stderr += data.toString();
    });
    child.stdin?.on('error', () => {});
    this.ended = new Promise((resolve) => {
      child.on('close', (code, signal) => resolve({ code, signal }));
    });
  }

  get pid(): number {
    if (this.child.pid === undefined) throw new Error('the program did not start');
    return this.child.pid;
  }
}

/** Asks every 5 ms; the test's own time limit ends what never comes. */
export async function until<T>(ask: () => T | null | undefined | false): Promise<T> {
  for (;;) {
    const answer = ask();
    if (answer !== null && answer !== undefined && answer !== false) return answer;
    await delay(5);
  }
}

export interface CellFile {
  readonly supervisor_pid: number;
  readonly supervisor_start: number;
  readonly init_pid: number;
  readonly init_start: number;
  readonly root_pid: number | null;
}

export interface CellOptions {
  readonly command: readonly string[];
  readonly stay?: boolean;
  readonly firstPid?: number;
  readonly cwd?: string;
  readonly output?: string;
  /** PID:START */
  readonly like?: string;
  readonly env?: NodeJS.ProcessEnv;
  /** Put in front of the cell's own command line. */
  readonly within?: readonly string[];
}

/** Arguments of `holdfast-cell start` for the ordinary user. */
export function startArguments(workshop: Workshop, directory: string, options: CellOptions): string[] {
  return [
    ...[
      'start',
      '--dir',
      directory,
      '--root-program',
      workshop.rootProgram,
      ...(options.stay ? ['--stay'] : []),
      ...(options.like ? ['--like', options.like] : []),
    ],
    ...['--uid', String(USER.uid), '--gid', String(USER.gid), '--groups', USER.groups.join(',')],
    ...['--cwd', options.cwd ?? '/', '--output', options.output ?? '/dev/null'],
    ...['--first-pid', String(options.firstPid ?? 5000), '--', ...options.command],
  ];
}

export class TestCell {
  private constructor(
    readonly running: Running,
    readonly directory: string,
    readonly file: CellFile,
  ) {}

  private static async make(
    workshop: Workshop,
    directory: string,
    args: string[],
    options: Pick<CellOptions, 'env' | 'within'> = {},
  ): Promise<TestCell> {
    const [program = '', ...rest] = [...(options.within ?? []), nativeProgram('holdfast-cell'), ...args];
    const running = workshop.spawn(program, rest, options.env);
    // A short job may have ended before we look.
    let code: number | null | undefined;
    running.ended.then((end) => {
      code = end.code;
    });
    await until(() => running.stdout === 'ready\n' || code !== undefined);
    if (running.stdout !== 'ready\n') throw new Error(`holdfast-cell ended with ${code}: ${running.stderr}`);
    return new TestCell(running, directory, JSON.parse(readFileSync(join(directory, 'cell.json'), 'utf8')));
  }

  static start(workshop: Workshop, options: CellOptions): Promise<TestCell> {
    const directory = workshop.directory(0o700);
    return TestCell.make(workshop, directory, startArguments(workshop, directory, options), options);
  }

  static adopt(workshop: Workshop, rootPid: number, firstPid: number, like?: string): Promise<TestCell> {
    const directory = workshop.directory(0o700);
    const pids = ['--root-pid', String(rootPid), '--first-pid', String(firstPid)];
    const place = like === undefined ? [] : ['--like', like];
    return TestCell.make(workshop, directory, ['adopt', '--dir', directory, ...pids, ...place]);
  }

  /** What exit.json says when the cell has ended. */
  async exit(): Promise<{ code?: number; signal?: number }> {
    await this.running.ended;
    return JSON.parse(readFileSync(join(this.directory, 'exit.json'), 'utf8'));
  }

  /** Processes of the cell without its pid 1: pid in the cell -> pid here. */
  processes(): Map<number, number> {
    return pidsInNamespaceOf(this.file.init_pid);
  }

  async kill(): Promise<void> {
    process.kill(this.file.init_pid, 'SIGKILL');
    await this.running.ended;
  }
}

const attempt = <T>(read: () => T): T | null => {
  try {
    return read();
  } catch {
    return null;
  }
};

export const readProc = (pid: number, name: string): string | null =>
  attempt(() => readFileSync(`/proc/${pid}/${name}`, 'utf8'));

export const namespaceOf = (pid: number, kind: string): string | null =>
  attempt(() => readlinkSync(`/proc/${pid}/ns/${kind}`));

export function pidsInNamespaceOf(init: number): Map<number, number> {
  const found = new Map<number, number>();
  const namespace = namespaceOf(init, 'pid');
  if (namespace === null) return found;
  for (const name of readdirSync('/proc').filter((entry) => /^\d+$/.test(entry))) {
    const pid = Number(name);
    if (pid === init || namespaceOf(pid, 'pid') !== namespace) continue;
    const inner = /^NSpid:.*\s(\d+)$/m.exec(readProc(pid, 'status') ?? '')?.[1];
    if (inner !== undefined) found.set(Number(inner), pid);
  }
  return found;
}

/** One line of /proc/PID/status. */
export const statusField = (pid: number, name: string): string =>
  new RegExp(`^${name}:[^\\S\n]*(.*)$`, 'm').exec(readProc(pid, 'status') ?? '')?.[1] ?? '';

export const isThere = (pid: number): boolean =>
  existsSync(`/proc/${pid}`) && statusField(pid, 'State')[0] !== 'Z';

export function nftTables(): string[] {
  const listing = execFileSync('nft', ['list', 'tables'], { encoding: 'utf8' });
  return listing.split('\n').filter((line) => line !== '');
}

export interface HoldEvent {
  readonly event: string;
  readonly [field: string]: unknown;
}

/** A running holdfast-hold, spoken to as the agent does. */
export class TestHold {
  readonly #events: AsyncIterator<string>;

  constructor(readonly running: Running) {
    const { stdout } = running.child;
    if (!stdout) throw new Error('the hold has no stdout');
    this.#events = createInterface({ input: stdout })[Symbol.asyncIterator]();
  }

  say(line: string): void {
    this.running.child.stdin?.write(`${line}\n`);
  }

  async next(): Promise<HoldEvent> {
    const { value, done } = await this.#events.next();
    if (done) throw new Error(`the hold ended: ${this.running.stderr}`);
    return JSON.parse(value);
  }

  /** The next event, which must be of this kind. */
  async expect(event: string): Promise<HoldEvent> {
    const next = await this.next();
    if (next.event !== event)
      throw new Error(`expected ${event}, got ${JSON.stringify(next)}: ${this.running.stderr}`);
    return next;
  }
}
