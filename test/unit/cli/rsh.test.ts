import { parseRemoteCommand } from '../../../cli/rsh/parse';

const parse = (line: string) => parseRemoteCommand(line.split(' '), () => 'ann');

test.each([
  ['n1 orted --tree-spawn', 'n1', 'orted --tree-spawn'],
  ['-x n1 orted', 'n1', 'orted'],
  ['-q -x n1 orted -x', 'n1', 'orted -x'],
  ['-o StrictHostKeyChecking=no -p 22 n1 a', 'n1', 'a'],
  ['-oBatchMode=yes -p22 n1 a', 'n1', 'a'],
  ['-xqo A=b n1 a', 'n1', 'a'],
  ['-n -T -l ann n1 a', 'n1', 'a'],
  ['-lann ann@n1 a', 'n1', 'a'],
  ['-x -- n1 -a', 'n1', '-a'],
])('%s', (line, host, command) => {
  expect(parse(line)).toEqual({ host, command });
});

test.each([['-l bob n1 a'], ['bob@n1 a'], ['-lroot n1 a'], ['-xl bob n1 a'], ['-l ann bob@n1 a']])(
  'another user: %s',
  (line) => {
    expect(() => parse(line)).toThrow(expect.objectContaining({ code: 'PERMISSION_DENIED' }));
  },
);

test.each([['-x'], ['n1'], ['-o'], ['--unknown n1 a'], ['-Z n1 a'], ['ann@ a']])('not valid: %s', (line) => {
  expect(() => parse(line)).toThrow(expect.objectContaining({ code: 'INVALID_ARGUMENT' }));
});
