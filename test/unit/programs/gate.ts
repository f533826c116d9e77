/** The real CRIU under the watchdog, as the agent runs it. */
import { randomUUID } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { findCriu, nativeProgram } from '../../../agent/criu/program';
import { fillMemory, type SavedRange, saveMemory } from './memory';
import { ADOPTING, ROOT, type Steady } from './steady';
import { nftTables, readProc, type TestCell, TestHold, USER, type Workshop } from './support';

const OPTIONS = [
  ...['--tcp-established', '--ext-unix-sk', '--file-locks', '--link-remap', '--shell-job'],
  ...['--network-lock', 'nftables', '--manage-cgroups=ignore', '--ghost-limit', String(1 << 30), '-v4'],
];
const LOCK_NAME_LENGTH = 26;
const JOB_USER = `${USER.uid}:${USER.gid}:${USER.groups.join(',')}`;

export interface Held {
  readonly hold: TestHold;
  readonly criuPid: number;
  /** The network lock as nft lists it. */
  readonly table: string;
}

interface Run {
  readonly gate: 'post-dump' | 'pre-resume';
  readonly images: string;
  /** null: not in a cell. */
  readonly cell: TestCell | null;
  readonly args: readonly string[];
  readonly leaseMs: number;
  readonly preload?: boolean;
  readonly env?: NodeJS.ProcessEnv;
}

/** Resolves when CRIU stands at the gate. */
async function run(
  workshop: Workshop,
  { gate, images, cell, args, leaseMs, preload = true, env = {} }: Run,
): Promise<Held> {
  const id = randomUUID();
  const enter = cell ? ['--enter', String(cell.file.init_pid)] : [];
  const hold = new TestHold(
    workshop.spawn(
      nativeProgram('holdfast-hold'),
      [
        ...['--dir', workshop.directory(0o700), ...enter, '--gate', gate, '--lease-ms', String(leaseMs)],
        ...['--grace-ms', '3000', '--cleanup-table', `CRIU-${id}`, '--', (await findCriu()).path, ...args],
        ...['-D', images, '-o', 'log', ...OPTIONS, '--action-script', nativeProgram('holdfast-hold')],
      ],
      {
        PATH: process.env.PATH,
        ...(preload ? { LD_PRELOAD: nativeProgram('holdfast-preload.so') } : {}),
        ...env,
        ...(gate === 'post-dump' ? { HOLDFAST_HOLLOW: '1' } : { HOLDFAST_USER: JOB_USER }),
      },
    ),
  );
  const { pid } = await hold.expect('started');
  const event = await hold.next();
  if (event.event !== 'gate') {
    throw new Error(`${JSON.stringify(event)}: ${readFileSync(join(images, 'log'), 'utf8').slice(-2000)}`);
  }
  expect(event).toMatchObject({ action: gate });
  return { hold, criuPid: Number(pid), table: `table inet ${`CRIU-${id}`.slice(0, LOCK_NAME_LENGTH)}` };
}

export const dump = (
  workshop: Workshop,
  cell: TestCell | null,
  { images = workshop.directory(0o700), root = ROOT, leaveRunning = true, leaseMs = 20_000, env = {} } = {},
): Promise<Held> => {
  const args = ['dump', '-t', String(root), ...(leaveRunning ? ['--leave-running'] : [])];
  return run(workshop, { gate: 'post-dump', images, cell, args, leaseMs, env });
};

export const restore = (
  workshop: Workshop,
  cell: TestCell,
  images: string,
  { leaseMs = 20_000, preload = true } = {},
): Promise<Held> =>
  run(workshop, { gate: 'pre-resume', images, cell, args: ['restore', '-d'], leaseMs, preload });

/** The tree's pids, in its cell and here, without CRIU's. */
export const tree = (cell: TestCell): [number, number][] =>
  [...cell.processes()].filter(([inner]) => inner >= ROOT && inner < ADOPTING);

export interface Image {
  readonly images: string;
  readonly memory: ReadonlyMap<number, SavedRange[]>;
  readonly beats: number;
}

/** A checkpoint of the whole. The original goes on for a moment, and is then ended. */
export async function checkpoint(workshop: Workshop, steady: Steady): Promise<Image> {
  const images = workshop.directory(0o700);
  const { hold, criuPid, table } = await dump(workshop, steady.cell, { images });
  const members = tree(steady.cell).filter(
    ([, pid]) => pid !== criuPid && readProc(pid, 'comm') !== 'holdfast-hold\n',
  );
  const memory = new Map(members.map(([inner, pid]) => [inner, saveMemory(pid)]));
  const beats = steady.beats();
  expect(nftTables()).toContain(table);
  hold.say('pass');
  expect(await hold.expect('exit')).toMatchObject({ code: 0, outcome: 'passed' });
  expect(nftTables()).not.toContain(table);
  await steady.goesOn();
  await steady.cell.kill();
  steady.resetTo(beats);
  return { images, memory, beats };
}

export function fill(cell: TestCell, image: Image): void {
  const pids = cell.processes();
  for (const [inner, saved] of image.memory) fillMemory(pids.get(inner) ?? 0, saved);
}
