import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, readlinkSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as delay } from 'node:timers/promises';
import { groupRoot } from '../../agent/network/translation';
import { PROJECT_ROOT } from '../../native/paths';
import { SimCluster } from '../nodes/cluster';
import { removeLeftGroups } from '../nodes/groups';
import type { SimNode } from '../nodes/node';
import type { NodeProcess } from '../nodes/processes';

const shell = (script: string): string[] => ['bash', '-c', script];

/** Polls until the condition holds; the test's own time limit ends it otherwise. */
async function until(condition: () => boolean | Promise<boolean>): Promise<void> {
  while (!(await condition())) await delay(5);
}

async function firstLine(child: ChildProcess): Promise<string> {
  if (child.stdout === null) throw new Error('no stdout');
  const [line] = await once(createInterface(child.stdout), 'line');
  return line;
}

/** Host pids of everything that runs under the given marker in its environment. */
function pidsWithMarker(marker: string): number[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map(Number)
    .filter((pid) => {
      try {
        return readFileSync(`/proc/${pid}/environ`, 'utf8').includes(marker);
      } catch {
        return false;
      }
    });
}

/** The namespaces a process is in, as "net:[4026531840]"; empty when it is gone. */
function namespacesOf(pid: number | string): string[] {
  try {
    return ['net', 'mnt', 'pid', 'uts', 'ipc'].map((kind) => readlinkSync(`/proc/${pid}/ns/${kind}`));
  } catch {
    return [];
  }
}

describe('a simulated cluster', () => {
  const shared = mkdtempSync('/tmp/holdfast-shared-');
  let cluster: SimCluster;

  beforeAll(async () => {
    cluster = await SimCluster.create({ names: ['head', 'node1', 'node2'], sharedPaths: [shared] });
  });
  afterAll(async () => {
    await cluster.destroy();
    rmSync(shared, { recursive: true });
  });

  test('gives each node its name, its processes and the addresses of all', async () => {
    const node = cluster.node('node1');
    const { stdout, code } = await node.run(shell('hostname; getent hosts head node2; cat /proc/1/comm'));
    expect(stdout.split('\n').map((line) => line.split(/\s+/).join(' '))).toEqual([
      'node1',
      '10.77.0.1 head',
      '10.77.0.3 node2',
      'tini',
      '',
    ]);
    expect(code).toBe(0);
    expect(node.address).toBe('10.77.0.2');
  });

  test('connects the nodes with each other and with nothing else', async () => {
    const server = cluster
      .node('head')
      .spawn([
        'python3',
        '-uc',
        'import socket as s; x=s.create_server(("", 7000)); print("up"); x.accept()',
      ]);
    const exited = once(server, 'exit');
    expect(await firstLine(server)).toBe('up');
    expect((await cluster.node('node2').run(shell('exec 3<>/dev/tcp/head/7000'))).code).toBe(0);
    expect(await exited).toEqual([0, null]);
    const routes = await cluster.node('head').run(['ip', '-4', 'route']);
    expect(routes.stdout.trim().split('\n')).toEqual([expect.stringMatching(/^10\.77\.0\.0\/24 dev eth0/)]);
    expect(existsSync('/sys/class/net/bridge0')).toBe(false);
  });

  test('keeps /tmp, /run, /dev/shm and System V IPC apart, and shares the rest', async () => {
    const [one, two] = [cluster.node('node1'), cluster.node('node2')];
    await one.run(shell(`touch /tmp/x /run/x /dev/shm/x ${shared}/x; ipcmk --shmem 4096`));
    const there = await two.run(
      shell(`ls /tmp/x /run/x /dev/shm/x ${shared}/x 2>/dev/null; ipcs -m | grep -c 4096`),
    );
    expect(there.stdout).toBe(`${shared}/x\n0\n`);
    expect(existsSync(`${shared}/x`)).toBe(true);
    expect(existsSync('/dev/shm/x')).toBe(false);
    expect(existsSync(one.path('/dev/shm/x'))).toBe(true);
    const modes = await one.run(['stat', '-c', '%a %n', '/tmp', '/dev/shm', '/run']);
    expect(modes.stdout).toBe('1777 /tmp\n1777 /dev/shm\n755 /run\n');
    expect((await one.run(['cat', `${PROJECT_ROOT}/package.json`])).stdout).toContain('"holdfast"');
  });

  test('starts programs with a session, user, directory and environment of their own', async () => {
    const node = cluster.node('node1');
    const script = 'id -u; id -g; id -G; pwd; echo $COLOUR; [ $(ps -o sid= $$) = $$ ] && echo leader; tty';
    const options = { uid: 4242, gid: 4343, cwd: '/dev/shm', env: { COLOUR: 'blue' }, input: '' };
    const { stdout } = await node.run(shell(script), options);
    expect(stdout).toBe('4242\n4343\n4343\n/dev/shm\nblue\nleader\nnot a tty\n');
    const python = 'import os; a, b = os.openpty(); print(os.ttyname(b))';
    expect((await node.run(['python3', '-c', python], { uid: 4242, gid: 4343 })).stdout).toBe('/dev/pts/0\n');
  });

  test('passes input, output, exit codes and signals through', async () => {
    const node = cluster.node('node1');
    expect(await node.run(shell('cat; echo bad >&2; exit 7'), { input: 'good' })).toEqual({
      stdout: 'good',
      stderr: 'bad\n',
      code: 7,
    });
    expect((await node.run(shell('kill -TERM $$'))).code).toBe(128 + 15);
    await expect(node.run(['sleep', '1000'], { timeoutMs: 50 })).rejects.toMatchObject({ code: 'TIMEOUT' });

    const trapping = node.spawn(
      shell('trap "echo caught; exit 3" USR1; echo ready; while :; do sleep 0.01; done'),
    );
    expect(await firstLine(trapping)).toBe('ready');
    trapping.kill('SIGUSR1');
    expect(await once(trapping, 'exit')).toEqual([3, null]);

    const early = node.spawn(['sleep', '1000']);
    early.kill('SIGKILL');
    expect(await once(early, 'exit')).toEqual([null, 'SIGKILL']);
  });

  test('survives that a program is stopped and continued', async () => {
    const node = cluster.node('node2');
    const child = node.spawn(shell('echo ready; read -r line; exit 5'));
    expect(await firstLine(child)).toBe('ready');
    const pid = await node.pidOf(child);
    const state = (): string | undefined => node.processes().find((process) => process.pid === pid)?.state;
    child.kill('SIGSTOP');
    await until(() => state() === 'T');
    child.kill('SIGCONT');
    await until(() => state() === 'S');
    child.stdin?.end('go\n');
    expect(await once(child, 'exit')).toEqual([5, null]);
  });

  test('lists the processes of a node and reaps orphans', async () => {
    const node = cluster.node('node2');
    await node.run(shell('(sleep 1000 > /dev/null 2>&1 & exec true) & wait'), { uid: 4242 });
    const find = (where: SimNode): NodeProcess | undefined =>
      where.processes().find(({ argv, parentPid }) => argv.join(' ') === 'sleep 1000' && parentPid === 1);
    await until(() => find(node)?.state === 'S');
    const orphan = find(node);
    expect(orphan?.uid).toBe(4242);
    expect(find(cluster.node('node1'))).toBeUndefined();
    await node.run(['kill', '-KILL', String(orphan?.pid)]);
    await until(() => !node.processes().some((process) => process.pid === orphan?.pid));
  });

  test('cuts and restores a link while the node runs on', async () => {
    const [head, node] = [cluster.node('head'), cluster.node('node2')];
    const connect = shell('timeout 1 bash -c "exec 3<>/dev/tcp/10.77.0.3/9" 2>&1');
    const reachable = async (): Promise<boolean> => (await head.run(connect)).stdout.includes('refused');
    await until(reachable);
    await node.cutLink();
    expect(await reachable()).toBe(false);
    expect((await node.run(['true'])).code).toBe(0);
    await node.restoreLink();
    await until(reachable);
  });

  test('a killed node is gone at once, and boots again with nothing left', async () => {
    const node = cluster.node('node2');
    const marker = `HOLDFAST_TEST_MARKER=${process.pid}-kill`;
    const [name = '', value = ''] = marker.split('=');
    const script =
      'touch /tmp/left; for i in 1 2 3; do setsid unshare -pf sleep 1000 > /dev/null 2>&1 & done';
    await node.run(shell(script), { env: { [name]: value } });
    await until(() => pidsWithMarker(marker).length >= 6);
    await node.kill();
    expect(pidsWithMarker(marker)).toEqual([]);
    expect(node.alive).toBe(false);
    expect(() => node.processes()).toThrow('node node2 is down');
    await node.boot();
    expect((await node.run(['ls', '/tmp/left'])).code).not.toBe(0);
    expect((await cluster.node('head').run(shell('exec 3<>/dev/tcp/node2/9'))).stderr).toContain('refused');
  });

  test('boots where a killed run left the control groups of a node with the same pid', async () => {
    const node = cluster.node('node2');
    await node.kill();
    const root = String(groupRoot(readFileSync('/proc/self/mountinfo', 'utf8')));
    const newest = Number(readFileSync('/proc/loadavg', 'utf8').split(' ').at(-1));
    const left = Array.from({ length: 300 }, (_, index) => join(root, `holdfast-sim-${newest + 1 + index}`));
    for (const group of left) mkdirSync(join(group, 'inner'), { recursive: true });
    await node.boot();
    expect(left).toContain(join(root, `holdfast-sim-${node.initPid}`));
    expect((await node.run(['ls', '/sys/fs/cgroup'])).code).toBe(0);
    const isDead = (group: string) => !existsSync(`/proc/${group.split('-').at(-1)}`);
    // Whoever else works on this machine takes some of these pids, and ends: such a group goes the next time.
    await until(() => {
      removeLeftGroups();
      return left.every((group) => !isDead(group) || !existsSync(group));
    });
    expect(existsSync(join(root, `holdfast-sim-${node.initPid}`))).toBe(true);
    expect(left.filter(isDead).length).toBeGreaterThan(100);
  });

  test('exists beside another one with the same names and addresses, and leaves nothing', async () => {
    const other = await SimCluster.create({ names: ['head', 'node1', 'node2', 'node3'] });
    expect(other.node('head').initPid).not.toBe(cluster.node('head').initPid);
    expect((await other.node('node1').run(['ls', shared])).code).not.toBe(0);
    other.node('node3').spawn(['sleep', '1000'], { stdio: 'ignore' });
    const theirs = other.nodes.flatMap(({ initPid }) => namespacesOf(initPid));
    expect(new Set(theirs).size).toBe(4 * 5);
    await other.destroy();
    await other.destroy();
    // Mounts and links are in namespaces, and these are gone when no process is in them.
    const left = readdirSync('/proc').flatMap((name) => (/^\d+$/.test(name) ? namespacesOf(name) : []));
    expect(left.filter((namespace) => theirs.includes(namespace))).toEqual([]);
    expect((await cluster.node('head').run(['true'])).code).toBe(0);
  });

  test('says which names are wrong and why a node did not start', async () => {
    await expect(SimCluster.create({ names: ['a', 'a'] })).rejects.toMatchObject({
      code: 'INVALID_ARGUMENT',
    });
    await expect(SimCluster.create({ names: ['a; reboot'] })).rejects.toMatchObject({
      code: 'INVALID_ARGUMENT',
    });
    const missing = SimCluster.create({ names: ['a'], sharedPaths: ['/tmp/does/not/exist'] });
    await expect(missing).rejects.toThrow(/simulated node a did not start: .*\/tmp\/does\/not\/exist/s);
  });
});

test('a cluster ends with the process that made it, even when that is killed', async () => {
  const marker = `HOLDFAST_TEST_MARKER=${process.pid}-orphan`;
  const [name = '', value = ''] = marker.split('=');
  const program = `
    const { SimCluster } = require('./test/nodes/cluster.ts');
    SimCluster.create({ names: ['a', 'b'] }).then((cluster) => {
      cluster.node('a').spawn(['sleep', '1000'], { stdio: 'ignore' });
      console.log('up');
    });`;
  const owner = spawn(process.execPath, ['--require', './test/typescript.cjs', '--eval', program], {
    cwd: PROJECT_ROOT,
    env: { ...process.env, [name]: value },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  expect(await firstLine(owner)).toBe('up');
  expect(pidsWithMarker(marker).length).toBeGreaterThan(4);
  owner.kill('SIGKILL');
  await until(() => pidsWithMarker(marker).length === 0);
});
