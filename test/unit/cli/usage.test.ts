/** The command line itself: bad input, help, version, certificates, the check of a node. */

import { X509Certificate } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { useCli } from './support/fixture';

const cli = useCli();
const PROJECT = join(__dirname, '..', '..', '..');

test('a command line that is not valid: exit code 2, the reason and where to read on', async () => {
  expect(await cli.run(['jobs', '--nonsense'])).toEqual({
    code: 2,
    signal: null,
    stdout: '',
    stderr: "holdfast: INVALID_ARGUMENT: unknown option '--nonsense'\n  remedy: see `holdfast jobs --help`\n",
  });
  const bare = await cli.run([]);
  expect(bare.code).toBe(2);
  expect(bare.stdout).toMatch(/^Usage: holdfast /);
});

test('an output that cannot be written is refused before anything is submitted', async () => {
  const result = await cli.run(['run', '--output', '/dev/null', '--', 'true']);
  expect(result.code).toBe(2);
  expect(result.stderr).toMatch(/output file \/dev\/null cannot be used/);
});

test('--json asks for JSON errors, but not when it belongs to the job', async () => {
  const own = await cli.run(['run', '--json', '--every', 'x', '--', 'true']);
  expect(JSON.parse(own.stderr).error).toMatchObject({ code: 'INVALID_ARGUMENT', retryable: false });
  const ofJob = await cli.run(['run', '--every', 'x', '--', 'prog', '--json']);
  expect(ofJob.stderr).toMatch(/^holdfast: INVALID_ARGUMENT/);
});

test('help is printed by the command itself', async () => {
  const result = await cli.run(['catalog', 'rebuild', '--help']);
  expect(result).toMatchObject({ code: 0, stderr: '' });
  expect(result.stdout).toMatch(/^Usage: holdfast catalog rebuild /);
});

test('version', async () => {
  const { version } = JSON.parse(readFileSync(join(PROJECT, 'package.json'), 'utf8')) as { version: string };
  expect((await cli.run(['version'])).stdout).toBe(`holdfast ${version}\n`);
  expect((await cli.run(['--version'])).stdout).toBe(`holdfast ${version}\n`);
  expect(JSON.parse((await cli.run(['version', '--json'])).stdout)).toEqual({
    version,
    node: process.version,
  });
});

test('ca makes an authority and certificates it has signed', async () => {
  const directory = join(cli.cwd, 'ca');
  const init = await cli.run(['ca', 'init', directory]);
  expect(init.stdout).toBe(`${directory}/ca.crt\n${directory}/ca.key\n`);
  const issue = await cli.run([
    'ca',
    'issue',
    'head',
    '--role',
    'coordinator',
    '--host',
    '10.0.0.1',
    '--host',
    'head.example.org',
    '--dir',
    directory,
    '--days',
    '30',
    '--json',
  ]);
  expect(JSON.parse(issue.stdout)).toEqual({ files: [`${directory}/head.crt`, `${directory}/head.key`] });
  const authority = new X509Certificate(readFileSync(`${directory}/ca.crt`));
  const certificate = new X509Certificate(readFileSync(`${directory}/head.crt`));
  expect(certificate.verify(authority.publicKey)).toBe(true);
  expect(certificate.checkIP('10.0.0.1')).toBe('10.0.0.1');
  expect(certificate.checkHost('head.example.org')).toBe('head.example.org');
  const days = (Date.parse(certificate.validTo) - Date.now()) / 86_400_000;
  expect(Math.round(days)).toBe(30);
  expect((await cli.run(['ca', 'init', directory])).code).toBe(5);

  const files = ['ca.crt', 'head.crt', 'head.key'].map((file) => `${directory}/${file}\n`).join('');
  expect(await cli.run(['ca', 'rotate', '--dir', directory])).toMatchObject({ code: 0, stdout: files });
  expect((await cli.run(['ca', 'rotate', '--dir', directory])).code).toBe(5);
  const list = await cli.run(['ca', 'list', '--dir', directory]);
  expect(list.stdout.replaceAll(/\d{4}-\d\d-\d\dT\S+/g, 'TIME')).toBe(
    [
      'NAME                  ROLE         STATE         UNTIL                     SIGNED BY',
      'holdfast authority 2  authority    valid         TIME  holdfast authority 2',
      'holdfast authority    authority    valid         TIME  holdfast authority (old)',
      'head                  coordinator  expires soon  TIME  holdfast authority 2\n',
    ].join('\n'),
  );
  const finish = await cli.run(['ca', 'rotate', '--finish', '--dir', directory, '--json']);
  expect(JSON.parse(finish.stdout)).toEqual({ files: [`${directory}/ca.crt`] });

  const revoke = await cli.run(['ca', 'revoke', 'head', '--dir', directory]);
  expect(revoke).toMatchObject({ code: 0, stdout: `${directory}/ca.crl\n` });
  const [, serial] = /certificate ([0-9a-f]+) is revoked/.exec(revoke.stderr) ?? [];
  const after = JSON.parse((await cli.run(['ca', 'list', '--dir', directory, '--json'])).stdout);
  expect(after).toMatchObject({ certificates: [{ role: 'authority' }], revoked: [{ serial }] });
  expect((await cli.run(['ca', 'revoke', 'head', '--dir', directory])).code).toBe(3);
});

test('agent check reports every check, and fails when something required is missing', async () => {
  const result = await cli.run(['agent', 'check', '--json', '--criu', '/nonexistent/criu']);
  const { usable, checks } = JSON.parse(result.stdout);
  expect(usable).toBe(false);
  expect(checks).toContainEqual(expect.objectContaining({ name: 'criu', state: 'missing', required: true }));
  for (const check of checks) {
    expect(check).toEqual({
      name: expect.any(String),
      state: expect.stringMatching(/^(ok|missing|degraded)$/),
      required: expect.any(Boolean),
      detail: expect.any(String),
      meaning: expect.any(String),
      remedy: expect.any(String),
    });
  }
  expect(result.code).toBe(7);
  expect(JSON.parse(result.stderr).error.code).toBe('CRIU_UNUSABLE');
  const table = await cli.run(['agent', 'check', '--criu', '/nonexistent/criu']);
  expect(table.stdout).toMatch(/^criu +missing +required /m);
  expect(table.stdout).toMatch(/\nRemedies\n(.*\n)* {2}criu: /);
});
