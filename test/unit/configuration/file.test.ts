/** The configuration file: what it may look like, what is refused and how that is told. */
import { chmodSync, chownSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseConfiguration, readConfiguration } from '../../../cli/configuration/file';
import { examine, PARTS } from '../../../cli/configuration/parts';
import { PROJECT_ROOT } from '../../../native/paths';

let directory: string;

beforeEach(() => {
  directory = mkdtempSync('/tmp/hf-config-');
});
afterEach(() => rmSync(directory, { recursive: true }));

function write(text: string, mode = 0o644): string {
  const path = join(directory, 'holdfast.yaml');
  writeFileSync(path, text);
  chmodSync(path, mode);
  return path;
}

const [coordinator, agent] = PARTS;
if (coordinator === undefined || agent === undefined) throw new Error('no parts');

test('settings are read as flags would be, and complete what is not said', () => {
  const found = readConfiguration(
    write(`
coordinator:
  store: file:///shared/holdfast
  insecure-loopback: true
  lease: 1m30s
  metrics: 9464
agent:
  coordinator: head:7020
  store: file:///shared/holdfast
  tls: /etc/holdfast/tls
  memory-budget: 1GiB
  local-root: [/tmp, /scratch/local]
  address: 10.0.0.1
  nice: 0
  max-upload-rate: 100MB
`),
  );
  expect(examine(coordinator, found)).toMatchObject({
    problems: [],
    options: {
      storeUrl: 'file:///shared/holdfast',
      listen: '127.0.0.1:7020',
      leaseMs: 90_000,
      heartbeatMs: 18_000,
      stateDirectory: '/var/lib/holdfast',
      metrics: '9464',
      restartWaitMs: 600_000,
      logLevel: 'info',
    },
  });
  expect(examine(agent, found)).toMatchObject({
    problems: [],
    options: {
      coordinators: ['head:7020'],
      memoryBudgetBytes: 1 << 30,
      localRoots: ['/tmp', '/scratch/local'],
      addresses: ['10.0.0.1'],
      nice: 0,
      maxUploadBytesPerS: 100_000_000,
      compression: 'auto',
    },
  });
  expect(Object.isFrozen(examine(agent, found).options)).toBe(true);
});

test.each([
  ['coordinator:\n  lease: 10x', 'F:2: coordinator.lease: "10x" is not a duration', /500ms, 10s/],
  [
    'coordinator:\n\n  leese: 10s',
    'F:3: unknown setting coordinator.leese',
    /^remove it, or choose one of .*lease/,
  ],
  [
    'coordinator:\n  store: file:///x\n  lease: 1ms',
    'coordinator setting lease: Too small: expected number to be >=200; received 1',
    /--lease/,
  ],
  [
    'coordinator:\n  store: ""\n  insecure-loopback: true',
    'coordinator setting store: the store URL is not a URL: ""',
    /file:\/\/\/absolute/,
  ],
  [
    'coordinator:\n  insecure-loopback: "yes"',
    'F:2: coordinator.insecure-loopback: "yes" is neither true nor false',
    /true or false/,
  ],
  [
    'coordinator:\n  lease: [1s, 2s]',
    'F:2: coordinator.lease: ["1s","2s"] is not one value',
    /one text or number/,
  ],
  ['coordinator:\n  listen:', 'F:2: coordinator.listen: nothing is not one value', /one text or number/],
  [
    'coordinator:\n  store: file:///x\n  insecure-loopback: true\n  log-level: loud',
    'coordinator setting log-level: must be one of trace, debug, info, warn, error, fatal, silent; received "loud"',
    /--log-level/,
  ],
  [
    'coordinator:\n  store: file:///x\n  insecure-loopback: true\n  metrics: 99999',
    'coordinator setting metrics: must be HOST:PORT or PORT; received "99999"',
    /--metrics/,
  ],
  [
    'coordinator:\n  insecure-loopback: true',
    'coordinator setting store: is required',
    /"store" in the section coordinator/,
  ],
  [
    'coordinator:\n  store: file:///x',
    'give either a TLS directory or the option for plain text on loopback',
    /insecure-loopback/,
  ],
  [
    'agent:\n  compression: gzip',
    'F:2: agent.compression: Allowed choices are auto, zstd, lz4, shuffle-lz4, none.',
    /agent --help/,
  ],
])('%j: %s', (text, message, remedy) => {
  const path = write(text);
  const found = readConfiguration(path);
  const part = text.startsWith('agent') ? agent : coordinator;
  const [problem] = examine(part, found).problems;
  expect(problem?.message.replace(path, 'F')).toBe(message);
  expect(problem?.remedy).toMatch(remedy);
});

test('all problems of a section are told at once', () => {
  const found = readConfiguration(write('agent:\n  nice: much\n  wrong: 1\n  criu: [a]\n'));
  expect(examine(agent, found).problems).toHaveLength(3);
  const outOfRange = readConfiguration(write('agent:\n  nice: 30\n  compression-level: 99\n'));
  expect(examine(agent, outOfRange).problems.map(({ message }) => message)).toEqual([
    'agent setting coordinator: is required',
    'agent setting store: is required',
    expect.stringMatching(/^agent setting compression-level: .*; received 99$/),
    expect.stringMatching(/^agent setting nice: .*; received 30$/),
  ]);
});

test.each([
  ['a: [', /^F:1: /],
  ['agent:\n  nice: 1\n  nice: 2', /^F:3: Map keys must be unique/],
  ['agents:\n  nice: 1', /^F:1: unknown section agents$/],
  ['- agent', /^F: is not a map of sections$/],
  ['agent: *nobody', /^F(:1)?: .*nobody/],
  ['coordinator: redis://:hunter2@head', /^F:1: .* received "redis:\/\/:\*\*\*@head"$/],
  ['agent: 7', /^F:1: section agent is not a map of settings; received 7$/],
])('%j is refused: %s', (text, message) => {
  expect(() => parseConfiguration(text, 'F')).toThrow(
    expect.objectContaining({ code: 'INVALID_ARGUMENT', message: expect.stringMatching(message) }),
  );
});

test('sections may share settings by an anchor', () => {
  const sections = parseConfiguration(
    'x-common: &common\n  store: file:///x\nagent:\n  <<: *common\n  nice: 3\ncoordinator:\n  <<: *common\n',
    'F',
  );
  expect(sections.get('agent')?.get('store')).toEqual({ value: 'file:///x', place: 'F:3' });
  expect(sections.get('agent')?.get('nice')).toEqual({ value: 3, place: 'F:5' });
  expect([...sections.keys()]).toEqual(['agent', 'coordinator']);
});

test('a file that others may write is refused, and one with a password that others may read', () => {
  expect(() => readConfiguration(write('agent: {}', 0o664))).toThrow(/others than its owner may write it/);
  const secret = 'coordinator:\n  redis: redis://:hunter2@head\n';
  expect(() => readConfiguration(write(secret, 0o644))).toThrow(/:2: redis holds a password/);
  expect(() => readConfiguration(write(secret, 0o644))).toThrow(expect.not.stringContaining('hunter2'));
  const path = write(secret, 0o640);
  expect(readConfiguration(path)).not.toBeNull();
  chownSync(path, 4711, 4711);
  expect(() => readConfiguration(path)).toThrow(/belongs to uid 4711/);
});

test('a file that was named must be there, the default one need not', () => {
  expect(() => readConfiguration(join(directory, 'none.yaml'))).toThrow(/cannot be read: ENOENT/);
});

test('the example is valid, and names every setting of every section once', () => {
  const path = join(PROJECT_ROOT, 'deploy', 'holdfast.yaml');
  const text = readFileSync(path, 'utf8');
  const sections = parseConfiguration(text, path);
  const [, ofCoordinator = '', ofAgent = ''] = text.split(/^(?:coordinator|agent):$/m);
  for (const [part, lines] of [
    [coordinator, ofCoordinator],
    [agent, ofAgent],
  ] as const) {
    expect(examine(part, { path, sections }).problems).toEqual([]);
    const named = [...lines.matchAll(/^ {2}(?:# )?([a-z-]+): /gm)].map(([, name]) => name);
    expect(named.sort()).toEqual(Object.keys(part.settings).sort());
    // The comment above says which of them need a restart.
    const reloadable = [...lines.matchAll(/^ {2}# (?![a-z-]+: )[^\n]*[^)\n]\n {2}(?:# )?([a-z-]+): /gm)].map(
      ([, name]) => name,
    );
    expect(reloadable.sort()).toEqual([...part.reloadable].sort());
  }
});

test('the example is valid also with everything that is commented out, but for what excludes each other', () => {
  const path = join(PROJECT_ROOT, 'deploy', 'holdfast.yaml');
  const text = readFileSync(path, 'utf8')
    .replace(/^ {2}# ([a-z-]+: .*)$/gm, '  $1')
    .replace(/^ {2}encryption-key-command: .*$/m, '');
  const sections = parseConfiguration(text, path);
  for (const part of PARTS) expect(examine(part, { path, sections }).problems).toEqual([]);
});
