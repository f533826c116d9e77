/** holdfast config, as an administrator sees it. */
import { chmodSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { useCli } from './support/fixture';

const cli = useCli();

function write(text: string): string {
  const path = join(cli.cwd, 'holdfast.yaml');
  writeFileSync(path, text);
  chmodSync(path, 0o600);
  return path;
}

const GOOD = `
coordinator:
  store: file:///shared/holdfast
  tls: /etc/holdfast/tls
  redis: redis://holdfast:hunter2@redis.example.org
  lease: 1m30s
`;

test('check tells what is right', async () => {
  const path = write(GOOD);
  expect(await cli.run(['config', 'check', path])).toMatchObject({
    code: 0,
    stdout: 'coordinator: ok\n',
    stderr: '',
  });
  const result = await cli.run(['config', 'check', '--json'], { HOLDFAST_CONFIG: path });
  expect(JSON.parse(result.stdout)).toEqual({
    file: path,
    usable: true,
    sections: [{ name: 'coordinator', problems: [] }],
  });
});

test('check tells everything that is wrong, with line, value and remedy', async () => {
  const path = write('agent:\n  nice: many\n  store: file:///x\ncoordinator:\n  lease: 10s\n  leese: 1\n');
  const result = await cli.run(['config', 'check', path]);
  expect(result.code).toBe(2);
  expect(result.stdout.replaceAll(path, 'FILE')).toBe(
    `coordinator: 1 problem
  FILE:6: unknown setting coordinator.leese
    remedy: remove it, or choose one of listen, store, redis, state-dir, tls, tls-name, insecure-loopback, socket, munge-listen, munge-socket, lease, leader-lease, advertise, restart-wait, max-checkpoints, keep, gc-every, gc-grace, user-quota, account-quota, audit-log, admins, operators, ckpt-unpriv-allowed, user-rate, user-operations, slurm, metrics, log-level
agent: 1 problem
  FILE:2: agent.nice: "many" is not a count
    remedy: write a whole number from 0 to 1000000
`,
  );
  expect(result.stderr).toBe(
    `holdfast: INVALID_ARGUMENT: ${path}: 2 problems\n  remedy: follow the remedies above\n`,
  );
  expect((await cli.run(['config', 'check', '/nonexistent.yaml'])).stderr).toMatch(/cannot be read: ENOENT/);
});

test('show has every setting with its source, and no password', async () => {
  const path = write(GOOD);
  const environment = { HOLDFAST_LOG: 'warn', HOLDFAST_CONFIG: path };
  const result = await cli.run(['config', 'show'], environment);
  expect(result).toMatchObject({ code: 0, stderr: '' });
  expect(
    result.stdout
      .replaceAll(path, 'FILE')
      .split('\n')
      .map((line) => line.replace(/ {2,}/g, '  ')),
  ).toEqual([
    'file: FILE',
    '',
    'coordinator',
    'SETTING  VALUE  FROM  CHANGES',
    'listen  0.0.0.0:7020  default  at restart',
    'store  file:///shared/holdfast  FILE:3  at restart',
    'redis  redis://holdfast:***@redis.example.org  FILE:5  at restart',
    'state-dir  /var/lib/holdfast  default  at restart',
    'tls  /etc/holdfast/tls  FILE:4  at restart',
    'tls-name  -  default  at restart',
    'insecure-loopback  false  default  at restart',
    'socket  /run/holdfast/coordinator.sock  default  at restart',
    'munge-listen  -  default  at restart',
    'munge-socket  -  default  at restart',
    'lease  90s  FILE:6  at restart',
    'leader-lease  10s  default  at restart',
    'advertise  -  default  at restart',
    'restart-wait  10m  default  at SIGHUP',
    'max-checkpoints  16  default  at SIGHUP',
    'keep  all  default  at SIGHUP',
    'gc-every  1h  default  at restart',
    'gc-grace  1h  default  at SIGHUP',
    'user-quota  0B  default  at SIGHUP',
    'account-quota  -  default  at SIGHUP',
    'audit-log  -  default  at restart',
    'admins  -  default  at SIGHUP',
    'operators  -  default  at SIGHUP',
    'ckpt-unpriv-allowed  2  default  at SIGHUP',
    'user-rate  100  default  at SIGHUP',
    'user-operations  100  default  at SIGHUP',
    'slurm  false  default  at restart',
    'metrics  -  default  at restart',
    'log-level  warn  HOLDFAST_LOG  at SIGHUP',
    '',
  ]);
  const json = await cli.run(['config', 'show', 'coordinator', '--config', path, '--json']);
  const shown = JSON.parse(json.stdout);
  expect(shown.file).toBe(path);
  expect(shown.coordinator[0]).toEqual({
    setting: 'listen',
    value: '0.0.0.0:7020',
    source: 'default',
    place: 'default',
    needsRestart: true,
  });
  expect(`${result.stdout}${json.stdout}`).not.toContain('hunter2');
});

test('a daemon says what is wrong with its configuration, and does not start', async () => {
  const path = write('coordinator:\n  insecure-loopback: true\n  lease: 1ms\n  store: file:///x\n');
  const result = await cli.run(['coordinator', '--config', path]);
  expect(result).toMatchObject({ code: 2, stdout: '' });
  expect(result.stderr).toMatch(
    /^holdfast: INVALID_ARGUMENT: coordinator setting lease: .*; received 1\n {2}remedy: /,
  );
  const flag = await cli.run(['coordinator', '--lease', '10s', '--store', 'nonsense'], {
    HOLDFAST_CONFIG: path,
  });
  expect(flag.stderr).toMatch(/coordinator setting store: the store URL is not a URL: "nonsense"/);
});

test('agent check looks at what the configured agent would use', async () => {
  const path = write('agent:\n  criu: /nonexistent/configured-criu\n');
  const result = await cli.run(['agent', 'check', '--json'], { HOLDFAST_CONFIG: path });
  const { checks } = JSON.parse(result.stdout) as { checks: { name: string; detail: string }[] };
  expect(checks.find(({ name }) => name === 'criu')?.detail).toContain('/nonexistent/configured-criu');
  expect(result.code).toBe(7);
});
