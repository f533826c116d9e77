/** Benchmarks at their smallest, as programs: one of those on simulated nodes, whose others use the same parts, and the coordinator's. */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PROJECT_ROOT } from '../../native/paths';
import type { BenchReport } from '../bench/result';

const PROGRAM = join(PROJECT_ROOT, 'dist', 'test', 'bench', 'main.js');
const directory = mkdtempSync(join(tmpdir(), 'holdfast-bench-'));
afterAll(() => rmSync(directory, { recursive: true }));

test('a benchmark writes its table and its JSON, with figures of Holdfast and of its peer', () => {
  const json = join(directory, 'stall.json');
  const args = ['--mount', 'node', PROGRAM, 'stall', '--quick', '--max-size', '32', '--json', json];
  const stdout = execFileSync('unshare', args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] });
  const { bench, machine, runs, rows, ratios } = JSON.parse(readFileSync(json, 'utf8')) as BenchReport;
  expect({ bench, runs, ratios }).toEqual({ bench: 'stall', runs: 1, ratios: {} });
  expect(machine.cores).toBeGreaterThan(0);
  for (const way of ['precopy', 'criu to tmpfs', 'criu to disk']) {
    const row = rows.find((found) => found.way === way && found.size_mib === 32);
    expect(row?.gap_ms).toBeGreaterThan(0);
    expect(stdout).toContain(` ${way} `);
  }
});

test('the coordinator under load: all of its figures, and no missed tick', () => {
  const json = join(directory, 'coordinator.json');
  const args = [PROGRAM, 'coordinator', '--quick', '--json', json];
  execFileSync('node', args, { stdio: ['ignore', 'pipe', 'pipe'] });
  const { rows, ratios } = JSON.parse(readFileSync(json, 'utf8')) as BenchReport;
  expect(ratios).toEqual({});
  const [row] = rows;
  expect(row).toMatchObject({ agents: 20, jobs: 4, missed_ticks: 0, went_wrong: 0 });
  for (const figure of ['barrier_p99_ms', 'rss_mib', 'redis_rss_mib', 'cpu_percent'])
    expect(row?.[figure]).toBeGreaterThan(0);
});
