import { ellipsize, formatCommand, formatDuration, formatSize } from '../../../cli/output/format';
import { Narrator } from '../../../cli/output/narrator';
import { NodeTotals } from '../../../cli/output/progress';
import { layOut } from '../../../cli/output/table';
import { printable } from '../../../cli/output/terminal';
import { JobState } from '../../../proto/gen/holdfast/v1/coordinator';
import { committed, JOB_ID, job, node, operation } from './support/messages';

test.each([
  [0, '0 B'],
  [1023, '1023 B'],
  [1536, '1.5 KiB'],
  [150 * 1024 ** 2, '150 MiB'],
  [3 * 1024 ** 5, '3.0 PiB'],
])('%d bytes', (bytes, text) => {
  expect(formatSize(bytes)).toBe(text);
});

test.each([
  [85, '85 ms'],
  [1234, '1.2 s'],
  [90_000, '1m 30s'],
  [3_660_000, '1h 1m'],
  [90_000_000, '1d 1h'],
])('%d ms', (ms, text) => {
  expect(formatDuration(ms)).toBe(text);
});

test('commands are shown as a shell takes them', () => {
  expect(formatCommand(['echo', 'a b', "it's", 'x=1'])).toBe(`echo 'a b' 'it'\\''s' x=1`);
  expect(ellipsize('abcdef', 4)).toBe('abc…');
});

test('tables align; text from elsewhere cannot drive the terminal', () => {
  const columns = [
    { title: 'NAME', cell: (row: { name: string; size: number }) => row.name },
    { title: 'SIZE', cell: (row: { name: string; size: number }) => row.size, align: 'right' as const },
  ];
  const lines = layOut(columns, [
    { name: 'a\u001b[2J', size: 5 },
    { name: 'longer\nname', size: 12345 },
  ]);
  expect(lines).toEqual(['NAME          SIZE', 'a?[2J            5', 'longer name  12345']);
  expect(printable('\u009b31m')).toBe('?31m');
});

test('progress is the sum of what the nodes said last', () => {
  const totals = new NodeTotals();
  const base = { operation: 'o', phase: 'UPLOAD' };
  totals.update({ ...base, node: 'n1', doneBytes: 5, totalBytes: 10 });
  expect(totals.update({ ...base, node: 'n2', doneBytes: 1, totalBytes: 30 })).toEqual({
    doneBytes: 6,
    totalBytes: 40,
  });
  expect(totals.update({ ...base, node: 'n1', doneBytes: 10, totalBytes: 10 }).doneBytes).toBe(11);
});

test('the narrator tells each turn once', () => {
  const told: string[] = [];
  const narrator = new Narrator((sentence) => told.push(sentence));
  narrator.job(job());
  narrator.event({ $case: 'job', value: job() });
  narrator.event({ $case: 'operation', value: operation({ phase: 'CAPTURE' }) });
  narrator.event({ $case: 'operation', value: committed() });
  narrator.event({ $case: 'operation', value: committed() });
  narrator.event({ $case: 'node', value: node({ alive: true }) });
  narrator.event({ $case: 'node', value: node({ alive: false }) });
  narrator.event({ $case: 'node', value: node({ alive: false }) });
  narrator.event({ $case: 'job', value: job({ state: JobState.RESTARTING, reason: 'node n1 is lost' }) });
  narrator.event({ $case: 'job', value: job({ incarnation: 2 }) });
  expect(told).toEqual([
    `job ${JOB_ID} runs on n1, n2`,
    `checkpoint 17 of job ${JOB_ID} committed (generation 3): captured 150 MiB, uploaded 1.5 KiB, held 85 ms, took 1.2 s`,
    'node n1 is lost',
    `job ${JOB_ID} restarts from its last checkpoint: node n1 is lost`,
    `job ${JOB_ID} runs on n1, n2 (incarnation 2)`,
  ]);
});
