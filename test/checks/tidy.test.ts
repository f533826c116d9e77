/** The repository's own rules. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { ERRORS } from '../../core/errors';
import { PROJECT_ROOT } from '../../native/paths';
import { findLines, ownSources } from './sources';

const MAX_LINES = 500;
const sources = ownSources();
const code = sources.filter(({ path }) => /\.(ts|cjs|cc|c|h|sh)$/.test(path));

test('the rules below look at something', () => {
  expect(code.length).toBeGreaterThan(20);
  expect(findLines(code, /find a line that says exactly this/)).toHaveLength(1);
});

test(`no file of code has more than ${MAX_LINES} lines: divide it by its jobs`, () => {
  const lines = (text: string): number => text.split('\n').length;
  expect(code.filter(({ text }) => lines(text) > MAX_LINES).map(({ path }) => path)).toEqual([]);
});

test('no test is skipped without a reason, left unwritten or run alone', () => {
  const tests = code.filter(({ path }) => path.startsWith('test/') && path !== 'test/harness/testUnless.ts');
  expect(findLines(tests, /\b(test|it|describe)\.(skip|todo|only|failing)\b|\b(xit|xtest|fit)\(/)).toEqual(
    [],
  );
});

test('nothing unfinished is marked in the code: finish it or write an issue', () => {
  expect(findLines(code, new RegExp(`\\b(${['TO', 'DO|FIX', 'ME|X', 'XX'].join('')})\\b`))).toEqual([]);
});

test('no file names a place of one machine, or the host of a package registry', () => {
  const machine = ['/wo' + 'rk/', '/ro' + 'ot/'];
  const hosts = [
    'npm' + 'js\\.(org|com)',
    'deb\\.deb' + 'ian\\.org',
    'proxy\\.gol' + 'ang',
    'py' + 'pi\\.org',
  ];
  expect(findLines(sources, new RegExp([...machine, ...hosts].join('|')))).toEqual([]);
});

test('docs/errors.md and core/errors.ts have the same codes, exit codes and retries', () => {
  const document = readFileSync(join(PROJECT_ROOT, 'docs/errors.md'), 'utf8');
  const rows = [...document.matchAll(/^\| `([A-Z_]+)` \| (\d+) \| (yes|no) \| .{20,} \| .{10,} \|$/gm)];
  const documented = rows.map(([, name, exitCode, retry]) => `${name} ${exitCode} ${retry}`);
  const catalogue = Object.entries(ERRORS).map(
    ([name, { exitCode, retryable }]) => `${name} ${exitCode} ${retryable ? 'yes' : 'no'}`,
  );
  expect(documented).toEqual(catalogue);
});
