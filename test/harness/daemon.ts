/** A daemon in the foreground of a simulated node: started, waited for, stopped, its log kept. */
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { createWriteStream } from 'node:fs';
import { createInterface } from 'node:readline';
import type { SimNode } from '../nodes/node';

export interface DaemonOptions {
  readonly node: SimNode;
  readonly name: string;
  readonly argv: readonly string[];
  readonly environment?: NodeJS.ProcessEnv;
  readonly logPath: string;
  /** What the line on stdout says when it is ready; absent: the first one. */
  readonly readyLine?: RegExp;
}

export class Daemon {
  private constructor(
    readonly name: string,
    private readonly child: ChildProcess,
    /** The first line it wrote: its readiness. */
    readonly ready: string,
  ) {}

  /** Resolves when it says that it is ready; a daemon that ends before is an error with the end of its log. */
  static async start({
    node,
    name,
    argv,
    environment,
    logPath,
    readyLine = /./,
  }: DaemonOptions): Promise<Daemon> {
    const child = node.spawn(argv, { env: environment, stdio: ['pipe', 'pipe', 'pipe'] });
    const log = createWriteStream(logPath, { flags: 'a' });
    let tail = '';
    child.stderr?.on('data', (data: Buffer) => {
      tail = (tail + data.toString()).slice(-2000);
      log.write(data);
    });
    child.once('close', () => log.end());
    const line = await new Promise<string>((resolve, reject) => {
      if (child.stdout) {
        createInterface({ input: child.stdout }).on('line', (text) => readyLine.test(text) && resolve(text));
      }
      child.once('close', (code) =>
        reject(new Error(`${name} ended with ${code} before it was ready:\n${tail}`)),
      );
    });
    return new Daemon(name, child, line);
  }

  get running(): boolean {
    return this.child.exitCode === null && this.child.signalCode === null;
  }

  /** Ends it with a signal and waits. */
  async stop(signal: NodeJS.Signals = 'SIGTERM'): Promise<void> {
    if (!this.running) return;
    const closed = once(this.child, 'close');
    this.child.kill(signal);
    await closed;
  }

  /** Stops it as if it hung. */
  pause(): void {
    this.child.kill('SIGSTOP');
  }

  /** Lets it go on after it was stopped, also after it stopped itself. */
  resume(): void {
    this.child.kill('SIGCONT');
  }

  /** Resolves when it has ended by itself. */
  async ended(): Promise<void> {
    if (this.running) await once(this.child, 'close');
  }
}
