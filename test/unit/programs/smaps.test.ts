/** What criu is told of memory areas instead of the kernel's smaps, which takes the longer the more pages there are. */
import { execFileSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { nativeProgram } from '../../../agent/criu/program';
import { compileVictim } from '../../harness/victims';
import { Workshop } from './support';

const workshop = new Workshop();
afterAll(() => workshop.end());
const areas = compileVictim('areas', workshop.path);

/** The preload knows criu by a library that other programs do not have. */
const PRELOADED = `${nativeProgram('holdfast-preload.so')} libuuid.so.1`;

function ask(env: NodeJS.ProcessEnv): { kernel: string[]; criu: string[] } {
  const text = execFileSync(areas, { env, maxBuffer: 64 << 20, encoding: 'utf8' });
  const [, kernel = '', criu = ''] = text.split(/^== .*\n/m);
  return { kernel: kernel.trim().split('\n'), criu: criu.trim().split('\n') };
}

/** The line of each area and its flags: all that criu takes. */
const used = (lines: readonly string[]): string[] =>
  lines.filter((line) => /^[0-9a-f]+-[0-9a-f]+ /.test(line) || line.startsWith('VmFlags:'));

const hasSums = (lines: readonly string[]): boolean => lines.some((line) => line.startsWith('Rss:'));

const IS_TOLD = existsSync('/sys/kernel/btf/vmlinux');

test('hollow: every area with the flags that the kernel tells, and nothing else', () => {
  const { kernel, criu } = ask({ LD_PRELOAD: PRELOADED, HOLDFAST_HOLLOW: '1' });
  const flags = new Set(
    kernel
      .filter((line) => line.startsWith('VmFlags:'))
      .join(' ')
      .split(' '),
  );
  for (const flag of ['sr', 'rr', 'dc', 'wf', 'dd', 'nr', 'gd', 'lo', 'sh']) expect(flags).toContain(flag);
  expect(used(criu)).toEqual(used(kernel));
  // Without the kernel's type information the kernel's own file must come.
  expect(hasSums(criu)).toBe(!IS_TOLD);
});

test.each([
  [
    'in a program that is not criu',
    { LD_PRELOAD: nativeProgram('holdfast-preload.so'), HOLDFAST_HOLLOW: '1' },
  ],
  ['in a dump that is not hollow', { LD_PRELOAD: PRELOADED }],
])('the kernel’s own file %s', (_, env) => {
  const { kernel, criu } = ask(env);
  expect(used(criu)).toEqual(used(kernel));
  expect(hasSums(criu)).toBe(true);
});
