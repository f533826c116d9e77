/**
 * A real Slurm on the nodes of a stack: munge everywhere, slurmctld on the head, which is the login node too, and slurmd on the
 * others. It lives in the nodes and in the stack's directory, so it is gone with the stack.
 */
import { randomBytes } from 'node:crypto';
import { chownSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { PROJECT_ROOT } from '../../native/paths';
import { until } from '../e2e/survival';
import { HEAD, type Stack } from '../harness/stack';
import type { RunOptions, RunResult } from '../nodes/run';
import { startAccounting } from './accounting';
import { cgroupConf, slurmConf, withLine } from './config';

/** An ordinary user with a home directory on all nodes. */
export const ALICE = { name: 'alice', uid: 2001, gid: 2001 } as const;

export interface SlurmClusterOptions {
  /** More lines of slurm.conf. */
  readonly extra?: readonly string[];
  /** Text of plugstack.conf. */
  readonly plugStack?: string;
  /** With slurmdbd and its database: `sacct` answers. */
  readonly accounting?: boolean;
}

const UP_LIMIT_MS = 20_000;
const PREPARE = join(PROJECT_ROOT, 'test/slurm/prepare.sh');

export class SlurmCluster {
  private constructor(
    private readonly stack: Stack,
    /** Configuration, logs, state and spools. */
    readonly directory: string,
    readonly nodes: readonly string[],
  ) {}

  /** Resolves when all compute nodes of the stack are idle. */
  static async onto(
    stack: Stack,
    { extra, plugStack = '', accounting = false }: SlurmClusterOptions = {},
  ): Promise<SlurmCluster> {
    const nodes = stack.cluster.nodes.filter(({ name }) => name !== HEAD);
    const cluster = new SlurmCluster(
      stack,
      join(stack.directory, 'slurm'),
      nodes.map(({ name }) => name),
    );
    cluster.write(
      slurmConf({ directory: cluster.directory, controller: stack.node(HEAD), nodes, extra, accounting }),
      plugStack,
    );
    await Promise.all(stack.cluster.nodes.map(({ name }) => cluster.prepare(name)));
    if (accounting) await startAccounting(stack.node(HEAD), cluster.directory);
    await cluster.must(HEAD, ['slurmctld', '-c']);
    await Promise.all(cluster.nodes.map((name) => cluster.must(name, ['slurmd'])));
    await cluster.idle(cluster.nodes);
    return cluster;
  }

  /** Alice's home directory, which all nodes see. */
  get home(): string {
    return join(this.directory, 'home');
  }

  /** Brings a node that was booted again back into the cluster; resolves when it is idle. */
  async rejoin(node: string): Promise<void> {
    await this.prepare(node);
    await this.must(node, ['slurmd']);
    await this.idle([node]);
  }

  /** Runs a program as alice in her home, on the login node unless another one is named. */
  alice(argv: readonly string[], options: RunOptions & { readonly node?: string } = {}): Promise<RunResult> {
    const env = {
      HOME: this.home,
      USER: ALICE.name,
      LOGNAME: ALICE.name,
      PATH: `${join(this.directory, 'bin')}:${process.env.PATH}`,
      ...options.env,
    };
    const { uid, gid } = ALICE;
    return this.stack.node(options.node ?? HEAD).run(argv, { cwd: this.home, uid, gid, ...options, env });
  }

  /** Submits a script of alice's; returns the number of the Slurm job. */
  async submit(script: string, flags: readonly string[] = [], env: NodeJS.ProcessEnv = {}): Promise<number> {
    const argv = ['sbatch', '--parsable', '--output=%x-%j.out', ...flags];
    const { code, stdout, stderr } = await this.alice(argv, { input: `#!/bin/bash\n${script}\n`, env });
    if (code !== 0) throw new Error(`sbatch: ${code}\n${stderr}`);
    return Number.parseInt(stdout, 10);
  }

  /** What `scontrol show job` says, by field. */
  async job(id: number): Promise<Readonly<Record<string, string>>> {
    const text = await this.must(HEAD, ['scontrol', 'show', 'job', '--oneliner', String(id)]);
    return Object.fromEntries(
      text.split(/\s+/).flatMap((word) => {
        const at = word.indexOf('=');
        return at > 0 ? [[word.slice(0, at), word.slice(at + 1)]] : [];
      }),
    );
  }

  /**
   * What `sacct` says of a job when its last run has ended, run by run, the oldest first: it needs `accounting`. Records arrive a little
   * later than scontrol knows.
   */
  async runs(id: number): Promise<{ state: string; exitCode: string; nodes: string }[]> {
    const fields = ['--format=State,ExitCode,NodeList', '--noheader', '--parsable2'];
    return until(`the records of Slurm job ${id}`, async () => {
      const text = await this.must(HEAD, ['sacct', '-j', String(id), '--duplicates', '-X', ...fields]);
      const runs = text
        .split('\n')
        .filter(Boolean)
        .map((line) => line.split('|'))
        .map(([state = '', exitCode = '', nodes = '']) => ({ state, exitCode, nodes }));
      return runs.length > 0 && !runs.some(({ state }) => /PENDING|RUNNING/.test(state)) ? runs : null;
    });
  }

  /** Resolves with the fields of the Slurm job when it is in one of the states, e.g. RUNNING or COMPLETED. */
  async jobIn(
    id: number,
    states: readonly string[],
    timeoutMs = 30_000,
  ): Promise<Readonly<Record<string, string>>> {
    const look = async () => {
      const fields = await this.job(id);
      return states.includes(fields.JobState ?? '') ? fields : null;
    };
    return until(`Slurm job ${id} in ${states.join(' or ')}`, look, timeoutMs).catch(async (error: Error) => {
      throw new Error(`${error.message}\n${JSON.stringify(await this.job(id))}\n${this.log()}`);
    });
  }

  /** Runs a program as root in a node; returns what it wrote, and fails when it does. */
  async must(node: string, argv: readonly string[]): Promise<string> {
    const { code, stdout, stderr } = await this.stack.node(node).run(argv);
    if (code !== 0) throw new Error(`${node}: ${argv.join(' ')}: ${code}\n${stderr}${this.log()}`);
    return stdout;
  }

  /** The end of the controller's log. */
  log(): string {
    const path = join(this.directory, 'slurmctld.log');
    try {
      return readFileSync(path, 'utf8').split('\n').slice(-30).join('\n');
    } catch {
      return `no ${path}`;
    }
  }

  private write(conf: string, plugStack: string): void {
    for (const part of ['', 'etc', 'state', 'spool', 'home', 'bin'])
      mkdirSync(join(this.directory, part), { mode: 0o755 });
    const files: readonly [string, string | Buffer, number][] = [
      ['etc/slurm.conf', conf, 0o644],
      ['etc/cgroup.conf', cgroupConf(), 0o644],
      ['etc/plugstack.conf', plugStack, 0o644],
      ['munge.key', randomBytes(128), 0o400],
      ['passwd', withLine(readFileSync('/etc/passwd', 'utf8'), this.passwdLine()), 0o644],
      ['group', withLine(readFileSync('/etc/group', 'utf8'), `${ALICE.name}:x:${ALICE.gid}:`), 0o644],
      ['bin/holdfast', `#!/bin/sh\nexec node ${PROJECT_ROOT}/dist/cli/main.js "$@"\n`, 0o755],
    ];
    for (const [name, content, mode] of files) writeFileSync(join(this.directory, name), content, { mode });
    chownSync(this.home, ALICE.uid, ALICE.gid);
  }

  private passwdLine(): string {
    return `${ALICE.name}:x:${ALICE.uid}:${ALICE.gid}::${this.home}:/bin/bash`;
  }

  private async prepare(name: string): Promise<void> {
    mkdirSync(join(this.directory, 'spool', name), { recursive: true });
    await this.must(name, [PREPARE, this.directory, String(this.stack.node(name).initPid)]);
  }

  private async idle(nodes: readonly string[]): Promise<void> {
    const sinfo = ['sinfo', '-h', '-N', '-o', '%N %t', '-n', nodes.join(',')];
    const look = async () => {
      // slurmctld may not listen yet.
      const { stdout: states } = await this.stack.node(HEAD).run(sinfo);
      const idle = new Set(states.split('\n').flatMap((line) => /^(\S+) idle$/.exec(line)?.[1] ?? []));
      return nodes.every((name) => idle.has(name)) ? true : null;
    };
    await until(`idle Slurm nodes ${nodes.join(', ')}`, look, UP_LIMIT_MS).catch((error: Error) => {
      throw new Error(`${error.message}\n${this.log()}`);
    });
  }
}
