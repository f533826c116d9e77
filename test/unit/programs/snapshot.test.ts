/** Clones of the processes that CRIU holds: they keep the memory of the hold while the job goes on. */
import { existsSync, mkdirSync, readdirSync, readFileSync, rmdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { adoptSnapshot, endSnapshot } from '../../../native';
import { testUnless } from '../../harness/testUnless';
import { processState } from '../engine/victim';
import { Family } from './family';
import { dump, type Held } from './gate';
import { type SavedRange, saveMemory } from './memory';
import { isThere, until, Workshop } from './support';

const workshop = new Workshop();
afterAll(() => workshop.end());

interface Line {
  readonly pid: number;
  /** 0: there is none, for the reason. */
  readonly clone: number;
  readonly reason: string;
}

function readSnapshot(file: string): Line[] {
  return readFileSync(file, 'utf8')
    .trim()
    .split('\n')
    .map((line) => {
      const [pid, clone, ...reason] = line.split(' ');
      return { pid: Number(pid), clone: Number(clone), reason: reason.join(' ') };
    });
}

interface Snapshotted {
  readonly family: Family;
  readonly held: Held;
  readonly lines: Line[];
}

async function holdWithSnapshot(): Promise<Snapshotted> {
  const family = await Family.start(workshop);
  const file = join(workshop.directory(), 'snapshot');
  const held = await dump(workshop, null, { root: family.pid, env: { HOLDFAST_SNAPSHOT: file } });
  const lines = readSnapshot(file);
  const members = [
    family.pid,
    ...family.children().filter((pid) => !lines.some(({ clone }) => clone === pid)),
  ];
  expect(lines.map(({ pid }) => pid).sort()).toEqual(members.sort());
  expect(lines.filter(({ clone }) => clone === 0)).toEqual([]);
  return { family, held, lines };
}

async function pass(held: Held): Promise<void> {
  held.hold.say('pass');
  expect(await held.hold.expect('exit')).toMatchObject({ code: 0, outcome: 'passed' });
}

const RSEQ_BYTES = 32;

/** Addresses of the words that differ; `except` is where the kernel writes whenever a thread runs on. */
function differences(one: readonly SavedRange[], other: readonly SavedRange[], except: number): string[] {
  const places = (ranges: readonly SavedRange[]) =>
    ranges.map(({ address, bytes }) => `${address} ${bytes.length}`);
  if (places(one).join() !== places(other).join()) return ['other ranges'];
  return one.flatMap(({ address, bytes }, index) => {
    const twin = other[index]?.bytes ?? bytes;
    if (bytes.equals(twin)) return [];
    return Array.from({ length: bytes.length / 4 }, (_, word) => 4 * word)
      .filter((offset) => bytes.readUInt32LE(offset) !== twin.readUInt32LE(offset))
      .map((offset) => address + offset)
      .filter((place) => place < except || place >= except + RSEQ_BYTES)
      .map((place) => place.toString(16));
  });
}

const isSame = (one: readonly SavedRange[], other: readonly SavedRange[]): boolean =>
  one.every(({ bytes }, index) => bytes.equals(other[index]?.bytes ?? bytes));

test('the clones keep the memory of the hold byte for byte, and the job notices nothing of them', async () => {
  const { family, held, lines } = await holdWithSnapshot();
  const atHold = new Map(lines.map(({ pid }) => [pid, saveMemory(pid)]));
  const { rseq } = family.status();
  await pass(held);
  await family.goesOn();
  const snapshots = lines.map(({ clone, pid }) => adoptSnapshot(clone, pid));
  // Everybody in the group gets these; the clones are in it.
  for (const signal of ['SIGSTOP', 'SIGCONT', 'SIGTERM'] as const) process.kill(-family.pid, signal);
  await family.goesOn();
  for (const { pid, clone } of lines) {
    expect(readdirSync(`/proc/${clone}/fd`)).toEqual([]);
    expect(differences(saveMemory(clone), atHold.get(pid) ?? [], rseq)).toEqual([]);
    expect(isSame(saveMemory(clone), saveMemory(pid))).toBe(false);
    expect(processState(clone)).toBe('t');
  }
  // The first child ends while clones of it and of the others live: its pipe must end, its parent must be told once.
  process.kill(family.pid, 'SIGUSR1');
  await until(() => family.status().reaped === 1 && family.status().eof === 1);
  expect(family.status()).toMatchObject({ sigchld: 1, sigterm: 1 });
  expect(lines.filter(({ pid }) => isThere(pid))).toHaveLength(2);
  expect(snapshots.map((snapshot) => snapshot.isIntact())).toEqual([true, true, true]);
  for (const { pid, clone } of lines)
    expect(differences(saveMemory(clone), atHold.get(pid) ?? [], rseq)).toEqual([]);
  await Promise.all(snapshots.map((snapshot) => snapshot.close()));
  // What belonged to the child that ended has become init's to wait for.
  await until(() => lines.every(({ clone }) => !isThere(clone)));
  expect(family.children()).toHaveLength(1);
  expect(await family.ended()).toBe(42);
});

const FREEZER = '/sys/fs/cgroup/freezer';
const noFreezer = existsSync(FREEZER)
  ? null
  : 'control groups (v1) with a freezer, for a snapshot of a job that is suspended';

testUnless(noFreezer)(
  'a job that its batch system suspends holds nobody up who takes its snapshot over',
  async () => {
    const { family, held, lines } = await holdWithSnapshot();
    const group = join(FREEZER, `holdfast-test-${process.pid}`);
    mkdirSync(group);
    try {
      for (const { clone } of lines) writeFileSync(join(group, 'cgroup.procs'), String(clone));
      writeFileSync(join(group, 'freezer.state'), 'FROZEN');
      const [first] = lines;
      const begunMs = performance.now();
      expect(() => adoptSnapshot(first?.clone ?? 0, first?.pid ?? 0)).toThrow(/did not stop/);
      expect(performance.now() - begunMs).toBeLessThan(10_000);
      await pass(held);
      await family.goesOn();
    } finally {
      writeFileSync(join(group, 'freezer.state'), 'THAWED');
      await Promise.all(lines.map(({ clone, pid }) => endSnapshot(clone, pid)));
      rmdirSync(group);
    }
    expect(family.children().filter((pid) => lines.some(({ clone }) => clone === pid))).toEqual([]);
  },
);
