/**
 * The watchdog of a tree that runs before its memory is complete (holdfast-lazy, docs/native-programs.md). It holds a copy of
 * every userfaultfd and ends the tree before the last copy goes (invariant R1).
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { HoldfastError } from '../../core/errors';
import { nativeProgram } from '../criu/program';
import { toolEnvironment } from '../run';

export interface LazyGuardOptions {
  /** CRIU's working directory: there it looks for the page server's socket. */
  readonly images: string;
  /** Where the guard says why it ended the tree. */
  readonly reasonFile: string;
  /** With which everything in the cell ends. */
  readonly initPid: number;
  /** A process of the tree, as the images name it, and its userfaultfd in the guard. */
  readonly onProcess: (imagePid: number, guardPid: number, fd: number) => void;
  /** It was killed before done(), or cannot be started; not when the tree has ended by itself. */
  readonly onLost: () => void;
}

type GuardEvent =
  | { event: 'listening' }
  | { event: 'process'; image_pid: number; fd: number }
  | { event: 'restored' };

export class LazyGuard {
  private readonly child: ChildProcess;
  private finished = false;
  private setListening!: () => void;
  private setRestored!: () => void;
  private setFailed!: (error: Error) => void;
  /** CRIU can be started. */
  readonly listening: Promise<void>;
  /** CRIU has sent all userfaultfds, and each was passed to onProcess. */
  readonly restored: Promise<void>;
  private stderr = '';

  constructor(private readonly options: LazyGuardOptions) {
    const failed = new Promise<never>((_, reject) => {
      this.setFailed = reject;
    });
    const happens = (setResolve: (resolve: () => void) => void) =>
      Promise.race([new Promise<void>(setResolve), failed]);
    this.listening = happens((resolve) => {
      this.setListening = resolve;
    });
    this.restored = happens((resolve) => {
      this.setRestored = resolve;
    });
    for (const promise of [this.listening, this.restored, failed]) promise.catch(() => {});
    const { images, reasonFile, initPid } = options;
    const files = ['--socket', `${images}/lazy-pages.socket`, '--reason-file', reasonFile];
    // A session of its own: a signal to the agent's group must not reach it.
    this.child = spawn(nativeProgram('holdfast-lazy'), [...files, '--init-pid', String(initPid)], {
      stdio: ['pipe', 'pipe', 'pipe'],
      detached: true,
      env: toolEnvironment(),
    });
    this.child.stdin?.on('error', () => {}); // its end tells more
    this.child.stderr?.on('data', (data: Buffer) => {
      this.stderr += data.toString();
    });
    if (this.child.stdout)
      createInterface({ input: this.child.stdout }).on('line', (line) => this.onEvent(JSON.parse(line)));
    this.child.on('error', (error) => this.onEnd(error.message));
    this.child.on('close', (code) => {
      if (code === 0) this.finished = true; // the tree is gone: nobody is left to miss a page
      this.onEnd('it ended');
    });
  }

  /** A child of the tree has a userfaultfd of its own, which the kernel gave to us. */
  keep(fd: number): void {
    this.say(`keep ${fd}`);
  }

  /** Nothing is missing any more: it lets go of the tree. */
  done(): void {
    this.finished = true;
    this.say('done');
  }

  /** The tree is gone, or is ended by somebody else; the guard ends with it. */
  abandon(): void {
    this.finished = true;
  }

  private say(line: string): void {
    this.child.stdin?.write(`${line}\n`);
  }

  private onEvent(event: GuardEvent): void {
    if (event.event === 'listening') this.setListening();
    else if (event.event === 'restored') this.setRestored();
    else this.options.onProcess(event.image_pid, this.child.pid ?? 0, event.fd);
  }

  private onEnd(cause: string): void {
    const why = this.stderr.trim() || cause;
    this.setFailed(new HoldfastError('INTERNAL', `the watchdog of the lazy restart ended: ${why}`));
    if (this.finished) return;
    this.finished = true;
    this.options.onLost();
  }
}
