/** One benchmark at its smallest, as a program: the others use the same parts. */
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
