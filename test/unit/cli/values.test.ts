import {
  parseChoice,
  parseCount,
  parseDuration,
  parseHostPort,
  parseInterval,
  parseNames,
  parseSignal,
  parseSize,
} from '../../../cli/values';

const refused = (parse: () => unknown) => {
  expect(parse).toThrow(expect.objectContaining({ code: 'INVALID_ARGUMENT' }));
};

test.each([
  ['10s', 10_000],
  ['500ms', 500],
  ['1h30m', 5_400_000],
  ['0.5', 500],
  ['2', 2000],
  ['1d', 86_400_000],
  ['0', 0],
])('duration %s', (text, ms) => {
  expect(parseDuration(text)).toBe(ms);
});

test.each(['', 'x', '-1s', '10 s', '10y', 's', '1h30', '1e3'])('not a duration: %j', (text) => {
  refused(() => parseDuration(text));
});

test('an interval is longer than nothing', () => {
  expect(parseInterval('1ms')).toBe(1);
  refused(() => parseInterval('0s'));
});

test.each([
  ['256MiB', 268_435_456],
  ['1G', 1_073_741_824],
  ['1GB', 1_000_000_000],
  ['1.5 KiB', 1536],
  ['17', 17],
])('size %s', (text, bytes) => {
  expect(parseSize(text)).toBe(bytes);
});

test.each(['', 'MiB', '-1', '1 QiB', '1mib', '1constructor'])('not a size: %j', (text) => {
  refused(() => parseSize(text));
});

test.each(['localhost:7020', '10.0.0.1:1', '[::1]:65535', 'n1:0'])('address %s', (text) => {
  expect(parseHostPort(text)).toBe(text);
});

test.each(['localhost', ':1', 'n1:', 'n1:65536', '::1:7020', 'a b:1', 'n1:x'])(
  'not an address: %j',
  (text) => {
    refused(() => parseHostPort(text));
  },
);

test('names', () => {
  expect(parseNames('a, b')).toEqual(['a', 'b']);
  refused(() => parseNames('a,,b'));
  refused(() => parseNames('a,a'));
});

test.each([
  ['TERM', 15],
  ['sigkill', 9],
  ['34', 34],
])('signal %s', (text, number) => {
  expect(parseSignal(text)).toBe(number);
});

test.each(['0', '65', 'NOPE', '', '-9', '1.5'])('not a signal: %j', (text) => {
  refused(() => parseSignal(text));
});

test('counts and choices', () => {
  expect(parseCount('0')).toBe(0);
  refused(() => parseCount('1.5'));
  refused(() => parseCount('9999999'));
  expect(parseChoice(['a', 'b'])('b')).toBe('b');
  expect(() => parseChoice(['a', 'b'])('c')).toThrow(/"c" is not one of a, b/);
});
