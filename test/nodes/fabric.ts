/** The process that holds a simulated cluster together: see fabric.sh. */
import { type ChildProcessByStdio, execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import type { Readable, Writable } from 'node:stream';
import { promisify } from 'node:util';
import { HoldfastError } from '../../core/errors';
import { PROJECT_ROOT } from '../../native/paths';
import { removeGroups, removeLeftGroups } from './groups';

/** Scripts are not compiled: they exist in the checkout, not in dist/. */
const FABRIC_SCRIPT = join(PROJECT_ROOT, 'test/nodes/fabric.sh');

const execute = promisify(execFile);

/** Name under which the fabric's own pid is awaited; no node can have it. */
const SELF = '';
const START_LIMIT_MS = 20_000;
const END_LIMIT_MS = 20_000;

interface Waiter {
  resolve(pid: number): void;
  reject(error: Error): void;
}

export class Fabric {
  readonly #process: ChildProcessByStdio<Writable, Readable, Readable>;
  readonly #initPids: number[] = [];
  readonly #waiters = new Map<string, Waiter>();
  #pid = 0;
  #complaints = '';
  #ended = false;

  private constructor(hosts: string, sharedPaths: readonly string[]) {
    this.#process = spawn('unshare', ['--net', '--mount', '--pid', '--fork', FABRIC_SCRIPT], {
      env: { ...process.env, SIM_HOSTS: hosts, SIM_SHARED: sharedPaths.join('\n') },
      stdio: ['pipe', 'pipe', 'pipe'],
      detached: true,
    });
    createInterface(this.#process.stdout).on('line', (line) => this.#onLine(line));
    this.#process.stderr.on('data', (text) => {
      this.#complaints = (this.#complaints + text).slice(-2000);
    });
    this.#process.stdin.on('error', () => {}); // 'exit' tells
    this.#process.on('error', (error) => this.#onEnd(error.message));
    this.#process.on('exit', () => this.#onEnd('its supervisor ended'));
  }

  /** @param hosts text of every node's /etc/hosts */
  static async start(hosts: string, sharedPaths: readonly string[]): Promise<Fabric> {
    removeLeftGroups();
    const fabric = new Fabric(hosts, sharedPaths);
    fabric.#pid = await fabric.#announced(SELF);
    fabric.#unref();
    return fabric;
  }

  /** Boots a node whose cable is plugged into `port`; returns the pid of its init as seen from here. */
  async boot(name: string, address: string, port: string): Promise<number> {
    const announced = this.#announced(name);
    this.#process.stdin.write(`boot ${name} ${address} ${port}\n`);
    const initPid = await announced;
    this.#initPids.push(initPid);
    return initPid;
  }

  async setPort(port: string, state: 'up' | 'down'): Promise<void> {
    await this.#ip('link', 'set', port, state);
  }

  /** Frees the port of a node that is gone; the kernel itself would do it only some time later. */
  async freePort(port: string): Promise<void> {
    await this.#ip('link', 'delete', port).catch((error: Error) => {
      if (!/Cannot find device|No such device/.test(error.message)) throw error;
    });
  }

  /** Ends every process of every node; resolves when all of them are gone. */
  async destroy(): Promise<void> {
    if (this.#ended) return;
    const exited = once(this.#process, 'exit', { signal: AbortSignal.timeout(END_LIMIT_MS) });
    this.#process.ref();
    process.kill(this.#pid, 'SIGKILL');
    await exited;
    await Promise.all(this.#initPids.map(removeGroups));
  }

  async #ip(...command: string[]): Promise<void> {
    await execute('nsenter', ['--target', String(this.#pid), '--net', '--', 'ip', ...command]);
  }

  /** Waits for the line in which a node, or the fabric itself, tells its pid. */
  async #announced(name: string): Promise<number> {
    if (this.#ended) throw this.#failure(name, 'the cluster is destroyed');
    let timer: NodeJS.Timeout | undefined;
    const answer = new Promise<number>((resolve, reject) => {
      this.#waiters.set(name, { resolve, reject });
      timer = setTimeout(() => reject(this.#failure(name, 'it took too long')), START_LIMIT_MS);
    });
    return answer.finally(() => clearTimeout(timer));
  }

  #onLine(line: string): void {
    const [event, ...rest] = line.split(' ');
    const name = event === 'fabric' ? SELF : (rest[0] ?? SELF);
    const waiter = this.#waiters.get(name);
    this.#waiters.delete(name);
    if (event === 'failed') waiter?.reject(this.#failure(name, 'boot.sh failed'));
    else waiter?.resolve(Number(rest.at(-1)));
  }

  #onEnd(reason: string): void {
    this.#ended = true;
    for (const [name, waiter] of this.#waiters) waiter.reject(this.#failure(name, reason));
    this.#waiters.clear();
  }

  #failure(name: string, reason: string): HoldfastError {
    const what = name === SELF ? 'simulated cluster' : `simulated node ${name}`;
    return new HoldfastError(
      'INTERNAL',
      `${what} did not start: ${reason}. ${this.#complaints}`.trimEnd(),
      'simulated nodes need root, and the packages that deploy/bootstrap installs',
    );
  }

  /** A test that forgets to destroy its cluster still ends, and the cluster with it. */
  #unref(): void {
    this.#process.unref();
    for (const stream of [this.#process.stdin, this.#process.stdout, this.#process.stderr]) {
      if ('unref' in stream && typeof stream.unref === 'function') stream.unref();
    }
  }
}
