/** Real Redis servers on loopback: one, one with sentinels and a replica, or a cluster. They end with this process. */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { freePort } from '../rgw/port';

const HOST = '127.0.0.1';
const DEADLINE_MS = 40_000;
const MASTER = 'holdfast';
const SENTINEL_PASSWORD = 'only for sentinels';

export class RedisServers {
  readonly #directory = mkdtempSync('/tmp/hf-redis-');
  readonly #children = new Map<number, ChildProcess>();

  private constructor() {}

  static async single(): Promise<{ servers: RedisServers; url: string }> {
    const servers = new RedisServers();
    const port = await servers.server('--appendonly', 'yes', '--appendfsync', 'always');
    return { servers, url: `redis://${HOST}:${port}` };
  }

  /** A master, a replica and three sentinels that replace it after half a second. */
  static async sentinels(): Promise<{ servers: RedisServers; url: string; masterPort: number }> {
    const servers = new RedisServers();
    const masterPort = await servers.server('--appendonly', 'yes', '--repl-diskless-sync-delay', '0');
    const replica = await servers.server('--appendonly', 'yes', '--replicaof', HOST, String(masterPort));
    await until('the replica has what the master has', () =>
      command(replica, 'info', 'replication').includes('master_link_status:up'),
    );
    const ports: number[] = [];
    for (let i = 0; i < 3; i++) ports.push(await servers.#sentinel(masterPort));
    await until('the sentinels know each other and the replica', () => {
      const facts = askSentinel(ports[0] ?? 0, 'sentinel', 'master', MASTER).split('\n');
      const value = (name: string) => facts[facts.indexOf(name) + 1];
      return value('num-other-sentinels') === '2' && value('num-slaves') === '1';
    });
    const hosts = ports.map((port) => `${HOST}:${port}`).join(',');
    const parameters = new URLSearchParams({ 'sentinel-password': SENTINEL_PASSWORD });
    return { servers, url: `redis+sentinel://${hosts}/${MASTER}/0?${parameters}`, masterPort };
  }

  /** Three masters, each of which has a third of the slots. */
  static async cluster(): Promise<{ servers: RedisServers; url: string }> {
    const servers = new RedisServers();
    const ports: number[] = [];
    for (let i = 0; i < 3; i++)
      ports.push(await servers.server('--cluster-enabled', 'yes', '--appendonly', 'yes'));
    const hosts = ports.map((port) => `${HOST}:${port}`);
    const made = spawnSync('redis-cli', ['--cluster', 'create', ...hosts, '--cluster-yes'], {
      encoding: 'utf8',
    });
    if (made.status !== 0) throw new Error(`no cluster: ${made.stdout}${made.stderr}`);
    await until('the cluster is whole', () =>
      ports.every((port) => command(port, 'cluster', 'info').includes('cluster_state:ok')),
    );
    return { servers, url: `redis+cluster://${hosts.join(',')}` };
  }

  async server(...settings: string[]): Promise<number> {
    const port = await freePort(HOST);
    const directory = join(this.#directory, String(port));
    mkdirSync(directory);
    this.#start(port, [
      '--port',
      String(port),
      '--bind',
      HOST,
      '--dir',
      directory,
      '--save',
      '',
      ...settings,
    ]);
    await until(`redis-server at ${port}`, () => command(port, 'ping') === 'PONG');
    return port;
  }

  async #sentinel(masterPort: number): Promise<number> {
    const port = await freePort(HOST);
    const file = join(this.#directory, `${port}.conf`);
    const settings = [
      `port ${port}`,
      `bind ${HOST}`,
      `dir ${this.#directory}`,
      `requirepass "${SENTINEL_PASSWORD}"`,
      `sentinel sentinel-pass "${SENTINEL_PASSWORD}"`,
      `sentinel monitor ${MASTER} ${HOST} ${masterPort} 2`,
      `sentinel down-after-milliseconds ${MASTER} 500`,
      `sentinel failover-timeout ${MASTER} 5000`,
    ];
    writeFileSync(file, `${settings.join('\n')}\n`);
    this.#start(port, [file, '--sentinel']);
    await until(`sentinel at ${port}`, () => askSentinel(port, 'ping') === 'PONG');
    return port;
  }

  #start(port: number, argv: readonly string[]): void {
    const words = ['--pdeathsig', 'KILL', '--', 'redis-server', ...argv, '--logfile', ''];
    this.#children.set(port, spawn('setpriv', words, { stdio: 'ignore' }));
  }

  async kill(port: number): Promise<void> {
    const child = this.#children.get(port);
    this.#children.delete(port);
    if (child === undefined || child.exitCode !== null) return;
    const ended = once(child, 'exit');
    child.kill('SIGKILL');
    await ended;
  }

  async stop(): Promise<void> {
    for (const port of [...this.#children.keys()]) await this.kill(port);
    rmSync(this.#directory, { recursive: true, force: true });
  }
}

const askSentinel = (port: number, ...words: string[]): string =>
  command(port, '--no-auth-warning', '-a', SENTINEL_PASSWORD, ...words);

function command(port: number, ...words: string[]): string {
  return spawnSync('redis-cli', ['-p', String(port), ...words], { encoding: 'utf8' }).stdout.trim();
}

async function until(what: string, isThere: () => boolean): Promise<void> {
  for (const deadlineMs = Date.now() + DEADLINE_MS; Date.now() < deadlineMs; await delay(50))
    if (isThere()) return;
  throw new Error(`${what}: not within ${DEADLINE_MS} ms`);
}
