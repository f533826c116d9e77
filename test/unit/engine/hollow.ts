/** Processes laid out like those of a shadow, without their memory: test/victims/hollow.c. */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as delay } from 'node:timers/promises';
import { isHuge } from './proc-maps';
import type { SharedSegment } from './segments';
import type { Shadow, ShadowMap } from './shadow';
import { processState } from './victim';

const SOURCE = join(__dirname, '../../victims/hollow.c');

export interface HollowProcess {
  readonly imagePid: number;
  readonly pid: number;
  /** A descriptor of its; -1: none. */
  readonly userfaultfd: number;
}

export interface HollowProgram {
  start(shadow: Shadow, isLazy: boolean): Promise<HollowTree>;
  remove(): void;
}

export function buildHollow(): HollowProgram {
  const directory = mkdtempSync(join(tmpdir(), 'holdfast-hollow-'));
  const program = join(directory, 'hollow');
  const layout = join(directory, 'layout');
  const flags = ['-std=gnu11', '-D_GNU_SOURCE', '-O2', '-Wall', '-Wextra', '-Werror', '-static', '-no-pie'];
  execFileSync('gcc', [...flags, '-o', program, SOURCE]);
  return {
    async start(shadow, isLazy) {
      writeFileSync(layout, layoutOf(shadow));
      const child = spawn(program, [layout, ...(isLazy ? ['lazy'] : [])], {
        stdio: ['ignore', 'pipe', 'inherit'],
      });
      try {
        return new HollowTree(child, await untilStopped(child, shadow.processes.size));
      } catch (error) {
        child.kill('SIGKILL');
        throw error;
      }
    },
    remove: () => rmSync(directory, { recursive: true }),
  };
}

async function untilStopped(child: ChildProcess, count: number): Promise<HollowProcess[]> {
  const processes: HollowProcess[] = [];
  if (!child.stdout) throw new Error('the hollow processes have no output');
  for await (const line of createInterface({ input: child.stdout })) {
    const [imagePid = 0, pid = 0, userfaultfd = -1] = line.split(' ').map(Number);
    processes.push({ imagePid, pid, userfaultfd });
    if (processes.length < count) continue;
    for (const { pid } of processes) await untilStill(pid);
    return processes;
  }
  throw new Error('the hollow processes could not be made');
}

async function untilStill(pid: number): Promise<void> {
  for (;;) {
    const state = processState(pid);
    if (state === 'T') return;
    if (state === 'Z') throw new Error(`the hollow process ${pid} has ended`);
    await delay(1);
  }
}

export class HollowTree {
  constructor(
    private readonly root: ChildProcess,
    readonly processes: readonly HollowProcess[],
  ) {}

  /** By their pids in the generation. */
  pids = (): Map<number, number> => new Map(this.processes.map(({ imagePid, pid }) => [imagePid, pid]));

  /** Lets each touch some of its pages. */
  async touch(): Promise<void> {
    for (const { pid } of this.processes) process.kill(pid, 'SIGCONT');
    for (const { pid } of this.processes) await untilStill(pid);
  }

  async end(): Promise<void> {
    this.root.kill('SIGKILL');
    if (this.root.exitCode === null && this.root.signalCode === null) await once(this.root, 'exit');
  }
}

function layoutOf({ processes, segments }: Shadow): string {
  const lines = segments.map(({ contents }) => `segment ${contents.length.toString(16)}`);
  for (const [pid, maps] of processes) {
    lines.push(`process ${pid}`, ...maps.map(privateMap));
    segments.forEach((segment, number) => {
      lines.push(...viewsOf(segment, pid, number));
    });
  }
  return `${lines.join('\n')}\n`;
}

const mapOf = (
  map: { start: number; end: number; protection: number; offset: number },
  kind: string,
): string =>
  `map ${map.start.toString(16)} ${map.end.toString(16)} ${map.protection} ${kind} ${map.offset.toString(16)}`;

function privateMap(map: ShadowMap): string {
  if (map.kind === 'file') return `${mapOf(map, 'file')} ${map.name}`;
  return mapOf(map, isHuge(map) ? 'huge' : 'anonymous');
}

const viewsOf = ({ views }: SharedSegment, pid: number, number: number): string[] =>
  views.filter((view) => view.pid === pid).map((view) => `${mapOf(view, 'shared')} ${number.toString(16)}`);
