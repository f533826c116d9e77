/** A cell that takes the place of another process on the node: its control groups, processors and limits. */
import { mkdirSync, readFileSync, rmdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { nativeProgram } from '../../../agent/criu/program';
import { processStat } from '../../../agent/proc/stat';
import { type Running, readProc, startArguments, TestCell, until, Workshop } from './support';

const workshop = new Workshop();
const GROUP = `holdfast-like-${process.pid}`;
/** Hierarchies in which a new group needs no settings. */
const WANTED = /(cgroup2 .*|cgroup .*[ ,](freezer|memory|pids|name=systemd))$/;
const mounts = readFileSync('/proc/self/mountinfo', 'utf8')
  .split('\n')
  .filter((line) => WANTED.test(line))
  .map((line) => join(line.split(' ')[4] ?? '', GROUP));
let seat: Running;

beforeAll(() => {
  const limits = ['--nofile=100:200', '--core=4096:8192'];
  seat = workshop.spawn('prlimit', [...limits, 'taskset', '--cpu-list', '1', 'sleep', '1000']);
  for (const group of mounts) {
    mkdirSync(group);
    writeFileSync(join(group, 'cgroup.procs'), String(seat.pid));
  }
});
afterAll(async () => {
  await workshop.end();
  for (const group of mounts) rmdirSync(group);
});

const seatName = (): Promise<string> =>
  until(() => readProc(seat.pid, 'comm') === 'sleep\n' && `${seat.pid}:${processStat(seat.pid)?.startTicks}`);

const groupsOf = (pid: number): string[] => (readProc(pid, 'cgroup') ?? '').split('\n');

test('all of a started cell lives where the other process does', async () => {
  expect(mounts.length).toBeGreaterThan(0);
  const cell = await TestCell.start(workshop, { command: ['sleep', '1000'], like: await seatName() });
  const { supervisor_pid, init_pid, root_pid } = cell.file;
  const command = await until(() =>
    [...cell.processes().values()].find((pid) => readProc(pid, 'comm') === 'sleep\n'),
  );
  for (const pid of [supervisor_pid, init_pid, root_pid ?? 0, command]) {
    expect(groupsOf(pid)).toEqual(groupsOf(seat.pid));
    expect(groupsOf(pid).filter((line) => line.endsWith(`/${GROUP}`))).toHaveLength(mounts.length);
    expect(readProc(pid, 'status')).toMatch(/^Cpus_allowed_list:\s+1$/m);
  }
  for (const limit of [/^Max open files +100 +200 /m, /^Max core file size +4096 +8192 /m]) {
    expect(readProc(command, 'limits')).toMatch(limit);
    // Those who look after the job keep their own.
    expect(readProc(init_pid, 'limits')).not.toMatch(limit);
  }
  await cell.kill();
});

test('the cell of a tree that is to be restored, too', async () => {
  const cell = await TestCell.adopt(workshop, 400, 500, await seatName());
  for (const pid of [cell.file.supervisor_pid, cell.file.init_pid])
    expect(groupsOf(pid)).toEqual(groupsOf(seat.pid));
  await cell.kill();
});

test('a process with the same pid that started at another time is not it', async () => {
  const [pid, startTicks] = (await seatName()).split(':');
  const like = `${pid}:${Number(startTicks) + 1}`;
  const args = startArguments(workshop, workshop.directory(0o700), { command: ['true'], like });
  const running = workshop.spawn(nativeProgram('holdfast-cell'), args);
  expect((await running.ended).code).toBe(1);
  expect(running.stderr).toContain(`process ${pid}, whose place was to be taken, is gone`);
});
