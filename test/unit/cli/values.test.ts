import {
  parseChoice,
  parseCount,
  parseDuration,
  parseEvery,
  parseHostPort,
  parseInterval,
  parseMoment,
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

test('a moment is a time of the calendar or Unix seconds', () => {
  expect(parseMoment('2030-12-31T18:00:00Z')).toBe(Date.UTC(2030, 11, 31, 18));
  expect(parseMoment('2030-12-31T18:00')).toBe(new Date(2030, 11, 31, 18).getTime());
  expect(parseMoment('1900000000')).toBe(1_900_000_000_000);
  for (const text of ['', 'tomorrow', '18:00', '2030', '2030-13-01T00:00']) refused(() => parseMoment(text));
});

test('a schedule is an interval or "auto"', () => {
  expect(parseEvery('auto')).toBe('auto');
  expect(parseEvery('10m')).toBe(600_000);
  refused(() => parseEvery('often'));
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
