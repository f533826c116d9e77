/** Where a value is from, and what a configuration that is read again changes. */
import { Command } from 'commander';
import { parseAgentOptions } from '../../../agent/options';
import { reloaded as reloadedAgent } from '../../../agent/reload';
import { parseConfiguration } from '../../../cli/configuration/file';
import { PARTS } from '../../../cli/configuration/parts';
import { settingsOf } from '../../../cli/configuration/settings';
import { asWritten } from '../../../cli/configuration/written';
import { parsePolicy } from '../../../cli/policy';
import { parseCoordinatorOptions } from '../../../coordinator/options';
import { policiesOf } from '../../../coordinator/policies';
import { reloaded } from '../../../coordinator/reload';
import { KEEP_ALL } from '../../../core/retention';

const [coordinator] = PARTS;
if (coordinator === undefined) throw new Error('no parts');

const FILE = 'coordinator:\n  lease: 3s\n  listen: 127.0.0.1:1\n  store: file:///file\n';

function settings(words: string[], environment: Record<string, string>) {
  const before = { ...process.env };
  Object.assign(process.env, environment);
  try {
    const program = new Command();
    coordinator?.addTo(program);
    const [command = program] = program.commands;
    command.action(() => {}).parse(words, { from: 'user' });
    const file = { path: 'F', sections: parseConfiguration(FILE, 'F') };
    const found = settingsOf(command, coordinator as NonNullable<typeof coordinator>, file);
    expect(found.problems).toEqual([]);
    return new Map(found.settings.map(({ name, value, source, place }) => [name, { value, source, place }]));
  } finally {
    process.env = before;
  }
}

test('flags win over the environment, the environment over the file, the file over defaults', () => {
  const found = settings(['--lease', '1s'], { HOLDFAST_LEASE: '2s', HOLDFAST_LISTEN: '127.0.0.1:2' });
  expect(found.get('lease')).toEqual({ value: 1000, source: 'flag', place: '--lease' });
  expect(found.get('listen')).toEqual({
    value: '127.0.0.1:2',
    source: 'environment',
    place: 'HOLDFAST_LISTEN',
  });
  expect(found.get('store')).toEqual({ value: 'file:///file', source: 'file', place: 'F:4' });
  expect(found.get('state-dir')).toEqual({ value: undefined, source: 'default', place: 'default' });
});

const COORDINATOR = { storeUrl: 'file:///x', insecureLoopback: true };

test('a coordinator takes over policies and log level; the rest waits for a restart', () => {
  const now = parseCoordinatorOptions(COORDINATOR);
  const next = { ...COORDINATOR, restartWaitMs: 5000, logLevel: 'debug', leaseMs: 20_000, metrics: '9464' };
  const change = reloaded(now, next);
  expect(change).toMatchObject({
    reloaded: ['restart-wait', 'log-level'],
    needRestart: ['lease', 'metrics'],
  });
  expect(change.options).toMatchObject({ restartWaitMs: 5000, logLevel: 'debug', leaseMs: 10_000 });
  expect(change.options.metrics).toBeUndefined();
  expect(reloaded(change.options, next).reloaded).toEqual([]);
  expect(() => reloaded(now, { ...next, leaseMs: 1 })).toThrow(/coordinator setting lease/);
});

test('a coordinator takes over limit, policy of retention, grace and quota; the period of sweeps waits', () => {
  const now = parseCoordinatorOptions(COORDINATOR);
  const retention = { ...KEEP_ALL, keepLast: 3 };
  const policies = { maxCheckpoints: 2, retention, gcGraceMs: 1000, userQuotaBytes: 1 << 30 };
  const accountQuotas = [{ account: 'physics', bytes: 1 << 30 }];
  const change = reloaded(now, { ...COORDINATOR, ...policies, accountQuotas, gcIntervalMs: 5000 });
  expect(change.reloaded).toEqual(['max-checkpoints', 'keep', 'gc-grace', 'user-quota', 'account-quota']);
  expect(change.needRestart).toEqual(['gc-every']);
  expect(policiesOf(change.options)).toMatchObject({ ...policies, accountQuotas });
});

test('a retention policy is shown as it is written', () => {
  expect(asWritten('retention', KEEP_ALL)).toBe('all');
  expect(asWritten('retention', parsePolicy('last=3,end=14d'))).toBe('last=3,end=14d');
});

test('an agent takes over log level and upload rate', () => {
  const input = { coordinators: ['head:1'], storeUrl: 'file:///x', insecureLoopback: true };
  const change = reloadedAgent(parseAgentOptions(input), {
    ...input,
    maxUploadBytesPerS: 1 << 30,
    logLevel: 'warn',
    nice: 1,
  });
  expect(change).toMatchObject({ reloaded: ['max-upload-rate', 'log-level'], needRestart: ['nice'] });
  expect(change.options).toMatchObject({ maxUploadBytesPerS: 1 << 30, logLevel: 'warn', nice: 10 });
});
