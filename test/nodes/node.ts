import type { ChildProcess } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import { HoldfastError } from '../../core/errors';
import { programPid, type SpawnOptions, spawnInNamespaces } from './enter';
import type { Fabric } from './fabric';
import { removeGroups } from './groups';
import { type NodeProcess, readProcesses } from './processes';
import { type RunOptions, type RunResult, runToEnd } from './run';

/** One simulated machine. It lives until kill(), or until its cluster or this process ends. */
export class SimNode {
  #initPid: number | null = null;

  /** @param port the end of its network cable in the fabric */
  constructor(
    readonly name: string,
    readonly address: string,
    private readonly port: string,
    private readonly fabric: Fabric,
  ) {}

  /** Starts the node, also again after kill(): with empty /tmp, /run and /dev/shm, as after a power cycle. */
  async boot(): Promise<void> {
    if (this.#initPid !== null) throw new HoldfastError('WRONG_STATE', `node ${this.name} is running`);
    this.#initPid = await this.fabric.boot(this.name, this.address, this.port);
  }

  get alive(): boolean {
    return this.#initPid !== null;
  }

  /** Pid of the node's init as this process sees it. Throws WRONG_STATE when the node is down. */
  get initPid(): number {
    if (this.#initPid === null) {
      throw new HoldfastError('WRONG_STATE', `node ${this.name} is down`, 'boot() it first');
    }
    return this.#initPid;
  }

  /** A file of the node as this process can open it, e.g. in the node's own /tmp. */
  path(absolutePath: string): string {
    return `/proc/${this.initPid}/root${absolutePath}`;
  }

  /** Starts a program; see spawnInNamespaces() about what is returned. */
  spawn(argv: readonly string[], options: SpawnOptions = {}): ChildProcess {
    return spawnInNamespaces(this.initPid, argv, options);
  }

  /** Runs a program to its end and returns what it wrote; a failing program is no error here. */
  run(argv: readonly string[], options: RunOptions = {}): Promise<RunResult> {
    return runToEnd(
      this.spawn(argv, { ...options, stdio: 'pipe' }),
      `${this.name}: ${argv.join(' ')}`,
      options,
    );
  }

  /** Pid, as the node sees it, of a program started by spawn(). */
  async pidOf(child: ChildProcess): Promise<number> {
    for (let program = programPid(child); ; program = programPid(child)) {
      if (program !== null) {
        const status = readFileSync(`/proc/${program}/status`, 'utf8');
        return Number(/^NSpid:.*\s(\d+)$/m.exec(status)?.[1]);
      }
      if (child.exitCode !== null || child.signalCode !== null || child.pid === undefined) {
        throw new HoldfastError('WRONG_STATE', `the program ${child.spawnargs.join(' ')} has ended`);
      }
      await delay(1);
    }
  }

  /** All processes of the node with those of the containers in it, as the node sees them. */
  processes(): NodeProcess[] {
    return readProcesses(this.path('/proc'));
  }

  /** Pulls the plug: nothing more reaches the network, and all processes are gone at once. */
  async kill(): Promise<void> {
    const initPid = this.initPid;
    await this.cutLink();
    process.kill(initPid, 'SIGKILL');
    this.#initPid = null;
    // The kernel takes init away only after every other process of its namespace.
    while (isRunning(initPid)) await delay(1);
    await removeGroups(initPid);
    await this.fabric.freePort(this.port);
  }

  /** Pulls the network cable; the node runs on. */
  async cutLink(): Promise<void> {
    await this.fabric.setPort(this.port, 'down');
  }

  async restoreLink(): Promise<void> {
    await this.fabric.setPort(this.port, 'up');
  }
}

function isRunning(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}
