/** The coordinator's own redis-server: it ends with the coordinator, and is started again when it ends alone. */
import { type ChildProcess, spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import { Redis } from 'ioredis';
import { HoldfastError } from '../../core/errors';
import { type RedisPaths, redisArguments } from './configuration';
import { hangUp } from './external';

export type Report = (message: string) => void;

/** Loading a large append-only file takes a while; the process' end is noticed at once. */
const READY_TIMEOUT_MS = 120_000;
const POLL_MS = 20;
const ONE_ATTEMPT = { maxRetriesPerRequest: 0, retryStrategy: () => null };
const STOP_GRACE_MS = 10_000;
const MAX_RESTART_DELAY_MS = 5_000;
/** A server that lived this long was well: the next restart is immediate again. */
const WELL_AFTER_MS = 60_000;

export class EmbeddedRedis {
  #child: ChildProcess | null = null;
  readonly #closing = new AbortController();
  #supervision: Promise<void> = Promise.resolve();

  /** @param lockFd kept open by the server too, so that no second server meets its files */
  constructor(
    private readonly paths: RedisPaths,
    private readonly lockFd: number,
    private readonly report: Report,
  ) {}

  get pid(): number | undefined {
    return this.#child?.pid;
  }

  /** Resolves when the server has loaded its data and answers. */
  async start(): Promise<void> {
    const ended = this.#spawn();
    const stopWaiting = new AbortController();
    const failed = ended.then((how) => {
      throw this.#startError(how);
    });
    failed.catch(() => undefined);
    try {
      await Promise.race([untilReady(this.paths.socket, stopWaiting.signal), failed]);
    } catch (error) {
      await this.#stopChild();
      throw error;
    } finally {
      stopWaiting.abort();
    }
    this.#supervision = this.#supervise(ended);
  }

  async close(): Promise<void> {
    this.#closing.abort();
    await this.#stopChild();
    await this.#supervision;
  }

  /** Resolves with how the process ended. */
  #spawn(): Promise<string> {
    // setpriv becomes redis-server, which the kernel kills when this process is gone.
    const command = ['--pdeathsig', 'KILL', '--', 'redis-server', ...redisArguments(this.paths)];
    const child = spawn('setpriv', command, {
      stdio: ['ignore', 'ignore', 'ignore', this.lockFd],
      // The coordinator's secrets are none of its business.
      env: { PATH: process.env.PATH },
    });
    this.#child = child;
    return new Promise((resolve) => {
      child.once('error', (error) => resolve(error.message));
      child.once('exit', (code, signal) => resolve(signal ?? `status ${code}`));
    });
  }

  async #supervise(first: Promise<string>): Promise<void> {
    let delayMs = 0;
    for (let ended = first; ; ended = this.#spawn()) {
      const startedMs = Date.now();
      const how = await ended;
      if (this.#closing.signal.aborted) return;
      const well = Date.now() - startedMs > WELL_AFTER_MS;
      delayMs = well ? 0 : Math.min(MAX_RESTART_DELAY_MS, delayMs * 2 + 50);
      this.report(
        `redis-server ended (${how}), starting it again in ${delayMs} ms; its log is ${this.paths.log}`,
      );
      await delay(delayMs, undefined, { signal: this.#closing.signal }).catch(() => undefined);
      if (this.#closing.signal.aborted) return;
    }
  }

  async #stopChild(): Promise<void> {
    const child = this.#child;
    if (child === null || child.exitCode !== null || child.signalCode !== null || child.pid === undefined)
      return;
    const gone = new Promise((resolve) => child.once('exit', resolve));
    child.kill('SIGTERM');
    const timer = setTimeout(() => child.kill('SIGKILL'), STOP_GRACE_MS);
    await gone;
    clearTimeout(timer);
  }

  #startError(how: string): HoldfastError {
    // setpriv's own status for a program it cannot find.
    if (how === 'status 127') {
      return new HoldfastError(
        'NOT_FOUND',
        'the program redis-server was not found on the PATH',
        'install the package redis-server, or name a Redis of your own with its URL',
      );
    }
    const lastLines = logTail(this.paths.log);
    const broken = /Bad file format reading the append only file|AOF .*(corrupt|invalid)/i.test(lastLines);
    return new HoldfastError(
      broken ? 'CORRUPT' : 'COORDINATOR_UNAVAILABLE',
      `redis-server did not start in ${this.paths.directory} (${how}): ${lastLines}`,
      broken
        ? 'run redis-check-aof --fix, or remove the directory: committed generations are in the object store'
        : `read ${this.paths.log}`,
    );
  }
}

function logTail(path: string): string {
  try {
    return readFileSync(path, 'utf8').trim().split('\n').slice(-3).join(' | ');
  } catch {
    return 'it wrote no log';
  }
}

/** Tries until the server has loaded its data and says PONG. */
async function untilReady(socket: string, signal: AbortSignal): Promise<void> {
  const deadlineMs = Date.now() + READY_TIMEOUT_MS;
  while (!(await answers(socket))) {
    if (Date.now() > deadlineMs) {
      const message = `redis-server does not answer at ${socket} after ${READY_TIMEOUT_MS} ms`;
      throw new HoldfastError('COORDINATOR_UNAVAILABLE', message, 'read its log beside the socket');
    }
    await delay(POLL_MS, undefined, { signal });
  }
}

async function answers(path: string): Promise<boolean> {
  const client = new Redis({ path, lazyConnect: true, enableReadyCheck: false, ...ONE_ATTEMPT });
  // The rejected promises say it.
  client.on('error', () => undefined);
  try {
    await client.connect();
    return (await client.ping()) === 'PONG';
  } catch {
    return false;
  } finally {
    hangUp(client);
  }
}
