/**
 * A whole installation on simulated nodes: `head` runs the coordinator (with its Redis) and, if wanted, a RADOS
 * Gateway; the others run agents. All of it real, over mTLS. What the nodes share, like home directories on a cluster, is
 * `shared`.
 */
import { spawnSync } from 'node:child_process';
import { chmodSync, chownSync, mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { type Connection, connect } from '../../cli/client/connection';
import { issueAuthority, issueCertificate } from '../../core/tls/authority';
import { PROJECT_ROOT } from '../../native/paths';
import { SimCluster } from '../nodes/cluster';
import type { SimNode } from '../nodes/node';
import type { RunResult } from '../nodes/run';
import { Daemon } from './daemon';

/** Debian's user without rights of its own. */
export const USER = { uid: 65534, gid: 65534 } as const;

export interface StackOptions {
  /** Names of the compute nodes. */
  readonly nodes: readonly string[];
  /** A directory of the stack's own, a directory that the caller has, or a RADOS Gateway. */
  readonly store: 'directory' | 'rgw' | { readonly directory: string };
  /** More arguments of agents, by node. */
  readonly agentFlags?: Readonly<Record<string, readonly string[]>>;
  readonly coordinatorFlags?: readonly string[];
  readonly leaseMs?: number;
  /** A second coordinator on another node, and a Redis for both. The first one leads. */
  readonly standby?: { readonly leaderLeaseMs: number; readonly flags: readonly string[] };
  readonly onStep?: (text: string) => void;
}

const COORDINATOR_PORT = 7070;
const RGW_PORT = 7480;
const REDIS_PORT = 7379;
/** The node that runs the coordinator. */
export const HEAD = 'head';
/** Where the second coordinator is. */
export const HEADS = [HEAD, 'head2'] as const;
export type Head = (typeof HEADS)[number];
const CLI = join(PROJECT_ROOT, 'dist', 'cli', 'main.js');

export class Stack {
  readonly shared: string;
  readonly agents = new Map<string, Daemon>();
  readonly coordinators = new Map<Head, Daemon>();
  private readonly connections = new Map<string, Connection>();
  private rgw: Daemon | null = null;
  private storeUrl: string;
  private storeEnvironment: NodeJS.ProcessEnv = {};

  private constructor(
    readonly cluster: SimCluster,
    readonly directory: string,
    private readonly options: StackOptions,
  ) {
    this.shared = join(directory, 'shared');
    const { store } = options;
    this.storeUrl = `file://${typeof store === 'object' ? store.directory : join(directory, 'store')}`;
  }

  static async start(options: StackOptions): Promise<Stack> {
    // Not below /tmp: that is private to each node.
    const directory = mkdtempSync('/srv/holdfast-test-');
    chmodSync(directory, 0o755);
    const step = options.onStep ?? (() => {});
    step(`${options.nodes.length} simulated nodes`);
    const cluster = await SimCluster.create({ names: [...headsOf(options), ...options.nodes] });
    const stack = new Stack(cluster, directory, options);
    try {
      for (const part of ['shared', 'logs', 'tls', 'state', 'store']) mkdirSync(join(directory, part));
      chownSync(stack.shared, USER.uid, USER.gid);
      if (options.store === 'rgw') {
        step('S3 server (RADOS Gateway)');
        await stack.startRgw();
      }
      await stack.issueCertificates();
      step('coordinator');
      if (options.standby) await stack.startRedis();
      for (const head of headsOf(options)) await stack.startCoordinator({}, head);
      step('agents');
      await Promise.all(options.nodes.map((name) => stack.startAgent(name)));
      return stack;
    } catch (error) {
      await stack.stop();
      throw error;
    }
  }

  node(name: string): SimNode {
    return this.cluster.node(name);
  }

  /** The only one, or the first. */
  get coordinator(): Daemon | null {
    return this.coordinators.get(HEAD) ?? null;
  }

  async startCoordinator(environment: NodeJS.ProcessEnv = {}, name: Head = HEAD): Promise<void> {
    const lease = this.options.leaseMs ?? 10_000;
    const daemon = await this.daemon(this.node(name), coordinatorOn(name), environment, [
      ...['coordinator', '--listen', this.addressOf(name)],
      ...['--state-dir', join(this.directory, 'state', name), '--store', this.storeUrl],
      ...['--tls', join(this.directory, 'tls'), '--tls-name', name, '--lease', `${lease}ms`],
      ...this.sharing(),
      ...(this.options.coordinatorFlags ?? []),
    ]);
    this.coordinators.set(name, daemon);
  }

  private addressOf(name: Head): string {
    return `${this.node(name).address}:${COORDINATOR_PORT}`;
  }

  private sharing(): string[] {
    const { standby } = this.options;
    if (standby === undefined) return [];
    const redis = `redis://${this.node(HEAD).address}:${REDIS_PORT}`;
    return ['--redis', redis, '--leader-lease', `${standby.leaderLeaseMs}ms`, ...standby.flags];
  }

  private async startRedis(): Promise<void> {
    const head = this.node(HEAD);
    const directory = join(this.directory, 'redis');
    mkdirSync(directory);
    const settings = [
      '--appendonly',
      'yes',
      '--appendfsync',
      'always',
      '--save',
      '',
      '--protected-mode',
      'no',
    ];
    const place = ['--port', String(REDIS_PORT), '--bind', head.address, '--dir', directory];
    await Daemon.start({
      ...{ node: head, name: 'redis', logPath: this.logPath('redis') },
      argv: ['redis-server', ...place, ...settings],
      readyLine: /Ready to accept connections/,
    });
  }

  async startAgent(
    name: string,
    environment: NodeJS.ProcessEnv = {},
    flags: readonly string[] = this.options.agentFlags?.[name] ?? [],
  ): Promise<void> {
    const agent = await this.daemon(this.node(name), name, environment, [
      ...[
        'agent',
        '--node',
        name,
        '--coordinator',
        headsOf(this.options)
          .map((head) => this.addressOf(head))
          .join(','),
      ],
      ...['--store', this.storeUrl, '--tls', join(this.directory, 'tls')],
      ...flags,
    ]);
    this.agents.set(name, agent);
  }

  /** What another program in a node needs to use the store. */
  get storeAccess(): { readonly url: string; readonly environment: NodeJS.ProcessEnv } {
    return { url: this.storeUrl, environment: this.storeEnvironment };
  }

  /** Typed calls to the coordinator through a node's agent, as root. */
  async connection(node: string): Promise<Connection> {
    const known = this.connections.get(node);
    if (known) return known;
    const opened = await connect({ socket: this.node(node).path('/run/holdfast/agent.sock') });
    this.connections.set(node, opened);
    return opened;
  }

  /** Runs the command line on a node, as root unless a user is given. */
  holdfast(
    node: string,
    args: readonly string[],
    options: { uid?: number; gid?: number; cwd?: string; timeoutMs?: number; env?: NodeJS.ProcessEnv } = {},
  ): Promise<RunResult> {
    return this.node(node).run(['node', CLI, ...args], {
      cwd: this.shared,
      timeoutMs: 120_000,
      ...options,
    });
  }

  /** The same, with --json, parsed; a failure is an error with what it wrote. */
  async json<T>(
    node: string,
    args: readonly string[],
    options: { uid?: number; gid?: number } = {},
  ): Promise<T> {
    const result = await this.holdfast(node, [...args, '--json'], options);
    if (result.code !== 0)
      throw new Error(`holdfast ${args.join(' ')}: ${result.code}\n${result.stderr}${this.logs()}`);
    return JSON.parse(result.stdout) as T;
  }

  /** The last lines of every log, for the message of a failed test. */
  logs(lines = 15): string {
    return spawnSync('tail', ['-n', String(lines), '-v', '--', ...this.logFiles()]).stdout.toString();
  }

  /** Stops everything; nothing is left. */
  async stop(): Promise<void> {
    for (const connection of this.connections.values()) connection.close();
    // A node does not end while something of it is stopped.
    for (const agent of this.agents.values()) agent.resume();
    await this.cluster.destroy();
    rmSync(this.directory, { recursive: true, force: true });
  }

  private logFiles(): string[] {
    const coordinators = headsOf(this.options).map(coordinatorOn);
    return [...coordinators, ...this.options.nodes].map((name) => this.logPath(name));
  }

  private logPath(name: string): string {
    return join(this.directory, 'logs', `${name}.log`);
  }

  private daemon(
    node: SimNode,
    name: string,
    environment: NodeJS.ProcessEnv,
    args: string[],
  ): Promise<Daemon> {
    return Daemon.start({
      ...{ node, name, logPath: this.logPath(name) },
      argv: ['node', CLI, ...args, '--json'],
      environment: { ...this.storeEnvironment, ...environment },
      readyLine: /"ready"/,
    });
  }

  private async startRgw(): Promise<void> {
    const head = this.node(HEAD);
    const tool = join(PROJECT_ROOT, 'dist', 'test', 'rgw', 'main.js');
    const place = [
      '--directory',
      join(this.directory, 'rgw'),
      '--address',
      head.address,
      '--port',
      String(RGW_PORT),
    ];
    this.rgw = await Daemon.start({
      ...{ node: head, name: 'rgw', logPath: this.logPath('rgw') },
      argv: ['node', tool, ...place],
    });
    const { endpoint, accessKey, secretKey, region } = JSON.parse(this.rgw.ready) as Record<string, string>;
    this.storeUrl = `s3://holdfast?endpoint=${endpoint}&region=${region}`;
    this.storeEnvironment = { HOLDFAST_S3_ACCESS_KEY: accessKey, HOLDFAST_S3_SECRET_KEY: secretKey };
  }

  private async issueCertificates(): Promise<void> {
    const directory = join(this.directory, 'tls');
    await issueAuthority(directory);
    for (const name of headsOf(this.options)) {
      const hosts = [name, this.node(name).address];
      await issueCertificate(directory, { name, role: 'coordinator', hosts });
    }
    for (const name of this.options.nodes) {
      await issueCertificate(directory, { name, role: 'node', hosts: [name, this.node(name).address] });
    }
  }
}

const headsOf = ({ standby }: StackOptions): readonly Head[] => (standby ? HEADS : [HEAD]);

/** As its log is called. */
const coordinatorOn = (name: Head): string => (name === HEAD ? 'coordinator' : 'coordinator2');

export const readText = (path: string): string => readFileSync(path, 'utf8');
