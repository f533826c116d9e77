/** A program of this build as a process of its own, which tells events as lines of JSON on stdout: "ready" first. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, openSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { PROJECT_ROOT } from '../../native/paths';

export type Told = Readonly<Record<string, unknown>>;

const STOP_GRACE_MS = 15_000;
const LOG_TAIL = 2000;

export class Program {
  private constructor(
    private readonly child: ChildProcess,
    readonly pid: number,
    readonly ready: Told,
  ) {}

  /** @param script below dist/. A program that ends before it is ready is an error with the end of its log. */
  static async start(
    script: string,
    args: readonly string[],
    logPath: string,
    onEvent: (told: Told) => void = () => {},
    nodeOptions: readonly string[] = [],
  ): Promise<Program> {
    const log = openSync(logPath, 'w');
    // setpriv becomes the program, which the kernel kills when this process is gone.
    const program = [process.execPath, ...nodeOptions, join(PROJECT_ROOT, 'dist', script)];
    const argv = ['--pdeathsig', 'KILL', '--', ...program, ...args];
    const child = spawn('setpriv', argv, { stdio: ['ignore', 'pipe', log] });
    closeSync(log);
    const ready = await new Promise<Told>((resolve, reject) => {
      child.once('error', reject);
      child.once('close', (code, signal) => {
        const tail = readFileSync(logPath, 'utf8').slice(-LOG_TAIL);
        reject(new Error(`${script} ended with ${code ?? signal} before it was ready:\n${tail}`));
      });
      if (child.stdout === null) return;
      createInterface({ input: child.stdout }).on('line', (line) => {
        const told = JSON.parse(line) as Told;
        if (told.event === 'ready') resolve(told);
        else onEvent(told);
      });
    });
    if (child.pid === undefined) throw new Error(`${script} has no pid`);
    return new Program(child, child.pid, ready);
  }

  async stop(): Promise<void> {
    if (this.child.exitCode !== null || this.child.signalCode !== null) return;
    const closed = once(this.child, 'close');
    this.child.kill('SIGTERM');
    const timer = setTimeout(() => this.child.kill('SIGKILL'), STOP_GRACE_MS);
    await closed;
    clearTimeout(timer);
  }
}
