/** --holdfast=…: read here as the plug-in checks it. */
import { withSlurmOptions } from '../../../cli/slurm/options';
import { KEEP_ALL } from '../../../core/retention';
import { parseSlurmOptions } from '../../../core/slurm/options';

test.each([
  ['interval=10m,keep=3,max-restarts=20', { every: 600_000, keep: 3, maxRestarts: 20 }],
  ['interval=auto', { every: 'auto' }],
  ['max-restarts=0,interval=30s', { every: 30_000, maxRestarts: 0 }],
])('%s', (text, options) => {
  expect(parseSlurmOptions(text)).toEqual(options);
});

test.each([
  '',
  'interval=10',
  'interval=0s',
  'keep=0',
  'keep=3,keep=4',
  'often',
  '=3',
  'toString=1',
  'keep=1e3',
])('"%s" is refused', (text) => {
  expect(() => parseSlurmOptions(text)).toThrow(/^--holdfast: .* is not known, not valid or given twice$/);
});

test('flags of the command win', () => {
  const environment = { HOLDFAST_SLURM_OPTIONS: 'interval=10m,keep=3,max-restarts=20' };
  expect(withSlurmOptions({}, environment)).toEqual({
    every: 600_000,
    keep: { ...KEEP_ALL, keepLast: 3 },
    maxRestarts: 20,
  });
  const given = { cron: '0 * * * *', keep: { ...KEEP_ALL, keepDaily: 1 }, maxRestarts: 1 };
  expect(withSlurmOptions(given, environment)).toEqual(given);
  expect(withSlurmOptions(given, {})).toBe(given);
});
