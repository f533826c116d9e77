/** The pure parts of the benchmarks: what they are told, and what they make of their samples. */
import { HoldfastError } from '../../core/errors';
import { BENCHES } from '../bench/catalogue';
import { limitRate, parseZstdBench } from '../bench/limit';
import { interleaved, jobSizes, placements } from '../bench/load';
import type { Machine } from '../bench/machine';
import { parseBenchOptions, usage } from '../bench/options';
import { type Row, ratiosOf, report, table } from '../bench/result';
import { availableMib, requireMemory } from '../bench/room';
import { Samples } from '../bench/samples';
import { median, percentile, rounded } from '../bench/statistics';
import { missedTicks } from '../bench/ticks';
import { parseStatus } from '../bench/victim';

const MACHINE: Machine = {
  ...{ cpu: 'C', cores: 2, memory_mib: 1024, kernel: '6.18', criu: '4.2.1' },
  ...{ store: 'directory on disk', date: '2026-01-01T00:00:00.000Z' },
};

test('the median is the middle one, whatever the order; of an even number the mean of two', () => {
  expect(median([9, 1, 5])).toBe(5);
  expect(median([4, 1, 2, 100])).toBe(3);
  expect(median([7])).toBe(7);
  expect(() => median([])).toThrow('at least one');
});

test('a percentile is a sample that no more than the rest is above', () => {
  const samples = Array.from({ length: 200 }, (_, i) => 200 - i);
  expect([0.5, 0.99, 1].map((part) => percentile(samples, part))).toEqual([100, 198, 200]);
  expect(percentile([3], 0.99)).toBe(3);
  expect(() => percentile([], 0.5)).toThrow('at least one');
});

test('a figure keeps its first digits', () => {
  expect([0.0123456, 1234.5, 0].map((value) => rounded(value))).toEqual([0.0123, 1230, 0]);
});

test('a ratio is there only when both of its figures are', () => {
  const figures = {
    ...{ quarter: [1, 4] as const, none: [undefined, 4] as const },
    ...{ alone: [1, undefined] as const, zero: [1, 0] as const },
  };
  expect(ratiosOf(figures)).toEqual({ quarter: 0.25 });
});

test('samples taken in turn become one row for each case, with the spread of the first figure', () => {
  const samples = new Samples();
  for (const gap_ms of [3, 1, 2]) {
    samples.add({ way: 'a', size: 1 }, { gap_ms, took_ms: gap_ms * 10 });
    samples.add({ size: 1, way: 'b' }, { gap_ms: 7 });
  }
  expect(samples.median({ size: 1, way: 'a' }, 'took_ms')).toBe(20);
  expect(samples.median({ size: 2, way: 'a' }, 'took_ms')).toBeUndefined();
  expect(samples.rows()).toEqual([
    {
      ...{ way: 'a', size: 1, gap_ms: 2, gap_ms_least: 1, gap_ms_most: 3 },
      ...{ gap_ms_samples: [3, 1, 2], took_ms: 20 },
    },
    { way: 'b', size: 1, gap_ms: 7, gap_ms_least: 7, gap_ms_most: 7, gap_ms_samples: [7, 7, 7] },
  ]);
});

test('the result as JSON has exactly the promised members', () => {
  const result = { rows: [{ way: 'a', gap_ms: 2 }], ratios: { x: 0.5 } };
  expect(JSON.parse(JSON.stringify(report('stall', MACHINE, 5, result)))).toEqual({
    ...{ bench: 'stall', machine: MACHINE, runs: 5 },
    ...{ rows: [{ way: 'a', gap_ms: 2 }], ratios: { x: 0.5 } },
  });
});

test('the table has every column once, a dash where a row has no figure, and no lists', () => {
  const rows: Row[] = [
    { way: 'criu', gap_ms: 12 },
    { way: 'x', took_ms: 3, samples: [1, 2] },
  ];
  expect(table(rows).split('\n')).toEqual([
    'way   gap ms  took ms',
    'criu      12        –',
    'x          –        3',
  ]);
});

test('the command line: a name of the list, and what goes with it', () => {
  const options = (...argv: string[]) => {
    const request = parseBenchOptions(argv, BENCHES);
    return request.kind === 'bench' ? request.options : request.kind;
  };
  expect(options('stall')).toMatchObject({ name: 'stall', runs: 5, quick: false, jsonPath: null });
  expect(options('stall', '--quick', '--json', 'F')).toMatchObject({ runs: 1, quick: true, jsonPath: 'F' });
  expect(options('--quick', '--runs', '3', 'stall')).toMatchObject({ runs: 3, load: null });
  expect(options('stall', '--load', '5')).toMatchObject({ load: '5', agents: null });
  expect(options('coordinator', '--agents', '1000')).toMatchObject({ agents: 1000 });
  expect([options('--help'), options('--list')]).toEqual(['help', 'list']);
  for (const argv of [
    [],
    ['nonsense'],
    ['stall', 'stall'],
    ['stall', '--runs', '0'],
    ['stall', '--nonsense'],
  ]) {
    expect(() => options(...argv)).toThrow(HoldfastError);
  }
});

test('the help names every benchmark', () => {
  for (const { name, summary } of BENCHES) expect(usage(BENCHES)).toContain(`${name.padEnd(12)} ${summary}`);
});

test('memory that is not there is refused with what is missing and what helps', () => {
  const meminfo = 'MemTotal:  9000000 kB\nMemAvailable:    4194304 kB\n';
  expect(availableMib(meminfo)).toBe(4096);
  expect(() => requireMemory('a victim', 3072, meminfo)).not.toThrow();
  expect(() => requireMemory('a victim', 3073, meminfo)).toThrow(
    'a victim needs 4097 MiB of memory, and 4096 MiB are available',
  );
});

test('a status that was read while it was written does not count', () => {
  expect(parseStatus('beats=7\ngap_ns=120\nend=7\n   \n')).toEqual({ beats: 7, gap_ns: 120, end: 7 });
  expect(parseStatus('beats=8\ngap_ns=120\nend=7\n   \n')).toBeNull();
  expect(parseStatus('')).toBeNull();
});

const RATES = {
  ...{ cores: 2, copyPerCore: 4e9, compressAll: 1e9, put: 1e9 },
  ...{ putCpuPerByte: 1e-9, storedPerRaw: 0.5 },
};

test('the limit: cores that copy, compress and store without a pause', () => {
  // 0.25 + 2 + 0.5 ns of CPU for a byte, on two cores.
  expect(limitRate(RATES)).toBeCloseTo(2e9 / 2.75);
});

test('the limit: a store that takes less than the cores can make', () => {
  expect(limitRate({ ...RATES, put: 2e8 })).toBeCloseTo(4e8);
});

test('the figures of zstd -b', () => {
  const told =
    'bench 1.5.4 : input 98932688 bytes, 1 seconds, 1024 KB blocks\n-1  39019623 (2.535) 137.69 MB/s  473.1 MB/s  node\n';
  expect(parseZstdBench(told)).toEqual({ storedBytes: 39019623, bytesPerSecond: 137.69e6 });
  expect(() => parseZstdBench('zstd: error')).toThrow('zstd: error');
});

test('the jobs of a simulated cluster: from 5 to 500 nodes, spread over all of them', () => {
  const sizes = jobSizes(1000);
  expect([sizes.length, sizes[0], sizes.at(-1)]).toEqual([200, 5, 500]);
  expect(jobSizes(100).at(-1)).toBe(50);
  expect(interleaved([1, 2, 3, 4, 5])).toEqual([1, 4, 2, 5, 3]);
  const placed = placements([3, 2, 2], 4).map((nodes) => nodes.map((name) => Number(name.slice(3))));
  expect(placed).toEqual([
    [0, 1, 2],
    [3, 0],
    [1, 2],
  ]);
});

test('a tick is missed when its checkpoint has not begun before the next one is due', () => {
  const schedule = { firstDueMs: 1000, intervalMs: 100 };
  expect(missedTicks(schedule, [1000, 1199, 1210], 1300)).toBe(0);
  expect(missedTicks(schedule, [999, 1100, 1110], 1300)).toBe(2);
  // Whether the one that was due at 1200 is kept, nobody knows yet.
  expect(missedTicks(schedule, [1050, 1150], 1299)).toBe(0);
});
