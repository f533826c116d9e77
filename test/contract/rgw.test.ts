/** The tool that runs a real S3 server (test/rgw): it keeps to itself and leaves nothing behind. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as delay } from 'node:timers/promises';

const root = join(__dirname, '..', '..');
const program = [
  'node',
  '--require',
  join(root, 'test', 'typescript.cjs'),
  join(root, 'test', 'rgw', 'main.ts'),
];
/** A network namespace with a loopback and one more address, which end with the command. */
const inNamespace = (address: string) => [
  'unshare',
  '--net',
  'sh',
  '-c',
  `ip link set lo up && ip address add ${address}/24 dev lo && exec "$@"`,
  'sh',
];

async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await delay(5, undefined, { ref: false });
}

function isAlive(pid: number): boolean {
  try {
    return !/^State:\s+[ZX]/m.test(readFileSync(`/proc/${pid}/status`, 'utf8'));
  } catch {
    return false;
  }
}

describe('the RADOS Gateway tool', () => {
  let directory = '';
  const children: ChildProcess[] = [];
  beforeEach(() => {
    directory = mkdtempSync('/tmp/holdfast-rgw-');
  });
  afterEach(() => {
    for (const child of children.splice(0)) child.kill('SIGKILL');
    rmSync(directory, { recursive: true });
  });

  function start(argv: readonly string[], wrapper: readonly string[] = []) {
    const [command = '', ...rest] = [...wrapper, ...program, ...argv];
    const child = spawn(command, rest, { stdio: ['pipe', 'pipe', 'pipe'] });
    children.push(child);
    let stderr = '';
    child.stderr.on('data', (chunk) => {
      stderr += chunk;
    });
    const ended = once(child, 'exit').then(([status, signal]) => ({ status, signal, stderr }));
    const ready = Promise.race([
      once(createInterface(child.stdout), 'line').then(([line]) => JSON.parse(line)),
      ended.then((end) => Promise.reject(new Error(`ended before it was ready: ${end.stderr}`))),
    ]);
    return { child, ready, ended };
  }

  test('two at once in namespaces of their own; each ends cleanly, one on SIGTERM, one with its input', async () => {
    const first = start(
      ['--directory', join(directory, '1'), '--address', '10.99.0.1'],
      inNamespace('10.99.0.1'),
    );
    const second = start(['--directory', join(directory, '2'), '--port', '7480'], inNamespace('10.99.0.2'));
    const [one, two] = await Promise.all([first.ready, second.ready]);
    expect(one.endpoint).toMatch(/^http:\/\/10\.99\.0\.1:\d+$/);
    expect(two.endpoint).toBe('http://127.0.0.1:7480');
    expect(one.secretKey).not.toBe(two.secretKey);
    expect([...one.pids, ...two.pids].filter(isAlive)).toHaveLength(6);
    first.child.kill('SIGTERM');
    second.child.stdin?.end();
    expect(await first.ended).toMatchObject({ status: 0 });
    expect(await second.ended).toMatchObject({ status: 0 });
    expect([...one.pids, ...two.pids].filter(isAlive)).toEqual([]);
    expect(readdirSync(directory)).toEqual([]);
  });

  test('killed, it takes its daemons along; the next start cleans up and leaves what is not its own', async () => {
    mkdirSync(join(directory, 'rgw'));
    writeFileSync(join(directory, 'rgw', 'mine'), '');
    const argv = ['--directory', join(directory, 'rgw')];
    const first = start(argv);
    const { pids } = await first.ready;
    first.child.kill('SIGKILL');
    await until(() => pids.filter(isAlive).length === 0);
    const second = start(argv);
    await second.ready;
    second.child.kill('SIGINT');
    expect(await second.ended).toMatchObject({ status: 0 });
    expect(readdirSync(join(directory, 'rgw'))).toEqual(['mine']);
  });

  test('an address it does not have is an error, and nothing stays', async () => {
    const tool = start(['--directory', join(directory, 'rgw'), '--address', '10.99.0.1']);
    tool.ready.catch(() => undefined);
    expect(await tool.ended).toMatchObject({ status: 1, stderr: expect.stringContaining('10.99.0.1') });
    expect(existsSync(join(directory, 'rgw'))).toBe(false);
  });

  test('asked to end while it starts, it does so and leaves nothing', async () => {
    const tool = start(['--directory', join(directory, 'rgw')]);
    tool.ready.catch(() => undefined);
    await until(() => existsSync(join(directory, 'rgw', 'mon', 'store.db')));
    tool.child.kill('SIGTERM');
    expect(await tool.ended).toMatchObject({ status: 0 });
    expect(existsSync(join(directory, 'rgw'))).toBe(false);
  });
});
