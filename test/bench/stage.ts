/** Where a benchmark plays: a node with its agent, a coordinator, a place in memory and one on disk. */
import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { Stack, type StackOptions } from '../harness/stack';
import type { SimNode } from '../nodes/node';
import type { BenchContext } from './bench';

const NODE = 'node1';
const SECOND_NODE = 'node2';

/** As every frozen tree is thawed when it ends, a peer that keeps both cores busy must not end it. */
const LEASE_MS = 60_000;

export interface StageOptions {
  /** A directory on tmpfs, one on disk, or a RADOS Gateway. */
  readonly store: 'memory' | 'disk' | 'rgw';
  /** There is a second node, whose agent has these arguments. */
  readonly secondAgentFlags?: readonly string[];
}

const LOOK_EVERY_MS = 5;
const LIMIT_MS = 120_000;

async function until(what: string, look: () => boolean): Promise<void> {
  for (const deadline = Date.now() + LIMIT_MS; !look(); await delay(LOOK_EVERY_MS)) {
    if (Date.now() > deadline) throw new Error(`${what}: not within ${LIMIT_MS / 1000} s`);
  }
}

export class Stage {
  private constructor(
    readonly stack: Stack,
    /** On tmpfs, seen by the node at the same path. */
    readonly memory: string,
    readonly nodeName = NODE,
  ) {}

  /** Everything it makes is gone at the end of the benchmark. */
  static async open(context: BenchContext, { store, secondAgentFlags }: StageOptions): Promise<Stage> {
    const memory = mkdtempSync('/srv/holdfast-bench-');
    context.atEnd(() => rmSync(memory, { recursive: true, force: true }));
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=90%,mode=755', 'holdfast-bench', memory]);
    // The nodes, and with them their copies of the mount, are gone by then.
    context.atEnd(() => {
      execFileSync('umount', [memory]);
    });
    const directory = join(memory, 'store');
    mkdirSync(directory);
    const stack = await Stack.start({
      ...{ nodes: secondAgentFlags ? [NODE, SECOND_NODE] : [NODE], leaseMs: LEASE_MS },
      agentFlags: { [SECOND_NODE]: secondAgentFlags ?? [] },
      store: { memory: { directory }, disk: 'directory', rgw: 'rgw' }[store] as StackOptions['store'],
      onStep: (text) => context.say(`start: ${text}`),
    });
    context.atEnd(() => stack.stop());
    return new Stage(stack, memory);
  }

  get node(): SimNode {
    return this.stack.node(this.nodeName);
  }

  /** The same with the second node. */
  get second(): Stage {
    return new Stage(this.stack, this.memory, SECOND_NODE);
  }

  /** Until no process of the node has the pid any more. */
  async pidFree(pid: number): Promise<void> {
    await until(`the end of process ${pid}`, () => !existsSync(this.node.path(`/proc/${pid}`)));
  }

  /** Until the process with this program has so many pages in memory, but for a thousandth (the kernel counts roughly). */
  async resident(program: string, pages: number): Promise<void> {
    await until(`${pages} pages of ${program} in memory`, () =>
      this.node.processes().some(({ pid, argv }) => {
        if (!argv[0]?.endsWith(`/${program}`)) return false;
        const statm = readFileSync(this.node.path(`/proc/${pid}/statm`), 'utf8');
        return Number(statm.split(' ')[1]) >= pages * 0.999;
      }),
    );
  }

  /** On the file system of this machine. */
  get disk(): string {
    return this.stack.directory;
  }
}
