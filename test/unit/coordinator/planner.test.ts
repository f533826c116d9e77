/** Who takes over from whom, and why. */

import { addressMap, cumulativeAliases, peerAddresses } from '../../../coordinator/restart/addresses';
import { compareVersions, whyIncapable } from '../../../coordinator/restart/capability';
import { type PlanInput, planRestart } from '../../../coordinator/restart/planner';
import { appendedFiles } from '../../../coordinator/restart/sharedFiles';
import { Node } from '../../../proto/gen/holdfast/v1/coordinator';
import { NodeFacts, NodePart, RestartPolicy } from '../../../proto/gen/holdfast/v1/manifest';

const facts = (ip: string, more: Partial<NodeFacts> = {}): NodeFacts =>
  NodeFacts.fromPartial({
    architecture: 'x86_64',
    criuVersion: '4.2.1',
    cpuFlags: ['avx2', 'sse2'],
    addresses: [ip],
    ...more,
  });
const part = (node: string, ip: string, more: Partial<NodeFacts> = {}): NodePart =>
  NodePart.fromPartial({ node, facts: facts(ip, more), trees: [] });
const node = (name: string, ip: string, more: Partial<NodeFacts> = {}): Node =>
  Node.fromPartial({ name, facts: facts(ip, more), alive: true });

const plan = (input: Partial<PlanInput> & Pick<PlanInput, 'parts' | 'nodes'>) =>
  planRestart({
    requested: [],
    preferred: [],
    policy: RestartPolicy.ANY_NODES,
    load: new Map(),
    drained: new Set(),
    ...input,
  });

function placed(input: Parameters<typeof plan>[0]): string[] {
  const result = plan(input);
  if (!result.ok) throw new Error(result.reason);
  return result.placements.map((placement) => `${placement.part.node}→${placement.node.name}`);
}

const parts = [part('a', '10.0.0.1'), part('b', '10.0.0.2')];

test('recorded nodes that live keep their part', () => {
  const nodes = [node('c', '10.0.0.3'), node('b', '10.0.0.2'), node('a', '10.0.0.1')];
  expect(placed({ parts, nodes })).toEqual(['a→a', 'b→b']);
});

test('spares: the wished ones first, then the emptiest, then by name', () => {
  const nodes = ['c', 'd', 'e'].map((name, i) => node(name, `10.0.0.${i + 3}`));
  const load = new Map([['c', 2]]);
  expect(placed({ parts, nodes, load })).toEqual(['a→d', 'b→e']);
  expect(placed({ parts, nodes, load, preferred: ['x', 'e', 'c'] })).toEqual(['a→e', 'b→c']);
});

test("a part's own node is left to it", () => {
  expect(placed({ parts, nodes: [node('b', '10.0.0.2'), node('z', '10.0.0.9')] })).toEqual(['a→z', 'b→b']);
});

test('nodes asked for are the only ones, in their order', () => {
  const nodes = ['a', 'b', 'c', 'd'].map((name, i) => node(name, `10.0.0.${i + 1}`));
  expect(placed({ parts, nodes, requested: ['d', 'c'] })).toEqual(['a→d', 'b→c']);
  expect(placed({ parts, nodes, requested: ['d', 'b'] })).toEqual(['a→d', 'b→b']);
});

test('a part that only one node can take gets it, although another part would like it', () => {
  const demanding = part('b', '10.0.0.2', { cpuFlags: ['avx512f'] });
  const nodes = [node('c', '10.0.0.3', { cpuFlags: ['avx2', 'sse2', 'avx512f'] }), node('d', '10.0.0.4')];
  expect(placed({ parts: [parts[0] ?? demanding, demanding], nodes })).toEqual(['a→d', 'b→c']);
});

test('a refusal names every candidate with its reason', () => {
  const nodes = [
    node('c', '10.0.0.3', { cpuFlags: ['sse2'] }),
    node('d', '10.0.0.4', { architecture: 'aarch64' }),
  ];
  expect(plan({ parts: [part('a', '10.0.0.1')], nodes })).toEqual({
    ok: false,
    reason:
      'no node can take the part of a (c: its processor lacks avx2; d: it is aarch64, the image x86_64)',
  });
  expect(plan({ parts, nodes: [] })).toMatchObject({
    reason: expect.stringContaining('no node is connected'),
  });
  expect(plan({ parts, nodes: [node('c', '10.0.0.3')] })).toMatchObject({
    reason: '2 distinct nodes are needed; for the part of b only c would do',
  });
});

test('the policy "same nodes" takes no other one', () => {
  const nodes = [node('a', '10.0.0.1'), node('c', '10.0.0.3')];
  expect(plan({ parts, nodes, policy: RestartPolicy.SAME_NODES })).toMatchObject({
    ok: false,
    reason: expect.stringContaining('c: the job restarts on the same nodes only'),
  });
});

test('a drained node gives its part to another, and takes none', () => {
  const nodes = ['a', 'b', 'c', 'd'].map((name, i) => node(name, `10.0.0.${i + 1}`));
  const drained = new Set(['b', 'c']);
  expect(placed({ parts, nodes, drained })).toEqual(['a→a', 'b→d']);
  expect(plan({ parts, nodes, drained, requested: ['a', 'c'] })).toMatchObject({
    reason: expect.stringContaining('c: it is drained'),
  });
});

test('a part needs a node with room for its memory', () => {
  const big = NodePart.fromPartial({
    ...part('a', '10.0.0.1'),
    trees: [{ memory: { scannedPages: 2 ** 19 } }, { memory: { scannedPages: 2 ** 18 } }],
  });
  const nodes = [
    node('b', '10.0.0.2', { memoryBytes: 2 ** 31 }),
    node('c', '10.0.0.3', { memoryBytes: 2 ** 32 }),
  ];
  expect(placed({ parts: [big], nodes })).toEqual(['a→c']);
});

test('every choice has a reason', () => {
  const result = plan({ parts, nodes: [node('a', '10.0.0.1'), node('c', '10.0.0.3')] });
  expect(result.ok && result.placements.map(({ reason }) => reason)).toEqual([
    'a stays: it is alive and capable',
    'b → c: it is not connected',
  ]);
});

test.each([
  ['cpu', { cpuFlags: ['sse2'] }, 'its processor lacks avx2'],
  ['criu', { criuVersion: '4.1' }, "its CRIU 4.1 is older than the image's 4.2.1"],
  ['kernel', { kernelRelease: '6.1.0-9' }, "its kernel 6.1.0-9 is older than the image's 6.12.5"],
  ['kernel patch', { kernelRelease: '6.12.1-2-amd64' }, null],
  ['memory', { memoryBytes: 2 ** 30 }, 'it has 1.0 GiB of memory, the image 3.0 GiB'],
  ['addresses', { addresses: ['fe80::1'] }, 'it has 0 IPv4 addresses, the image 1'],
  [
    'more of everything',
    { cpuFlags: ['sse2', 'avx2', 'x'], criuVersion: '4.10', addresses: ['1.1.1.1', '::2'] },
    null,
  ],
])('capability: %s', (_, candidate, expected) => {
  const recorded = facts('10.0.0.1', { kernelRelease: '6.12.5' });
  const node = { kernelRelease: '6.12.5', ...candidate };
  expect(whyIncapable(recorded, facts('10.0.0.2', node), 3 * 2 ** 30)).toBe(expected);
});

test('versions are compared by number', () => {
  expect(compareVersions('4.10', '4.9')).toBe(1);
  expect(compareVersions('4.2', '4.2.0')).toBe(0);
  expect(compareVersions('4.2.1-1+b2', '4.2.1')).toBe(0);
});

const placement = (from: string[], to: string[]) => ({
  part: part('x', '', { addresses: from }),
  node: node('y', '', { addresses: to }),
  reason: '',
});

test('addresses map by position within their family', () => {
  const placements = [
    placement(['10.0.0.1', 'fd00::1', '192.168.0.1'], ['10.0.0.9', '192.168.0.9', 'fd00::9']),
  ];
  expect(addressMap(placements)).toEqual([
    { original: '10.0.0.1', current: '10.0.0.9' },
    { original: '192.168.0.1', current: '192.168.0.9' },
    { original: 'fd00::1', current: 'fd00::9' },
  ]);
  expect(peerAddresses(placements)).toHaveLength(6);
});

const alias = (original: string, current: string) => ({ original, current });

test('aliases follow on: what memory knew first leads to where it is now', () => {
  const first = cumulativeAliases([], [alias('a', 'b'), alias('c', 'c')]);
  expect(first).toEqual([alias('a', 'b')]);
  const second = cumulativeAliases(first, [alias('b', 'd'), alias('c', 'c')]);
  // Memory may have learned b meanwhile.
  expect(second).toEqual([alias('a', 'd'), alias('b', 'd')]);
  // Back home: a is again what the job is told, and not b, which leads there too.
  expect(cumulativeAliases(second, [alias('d', 'a'), alias('c', 'c')])).toEqual([
    alias('a', 'a'),
    alias('b', 'a'),
    alias('d', 'a'),
  ]);
});

test('two nodes that swap addresses are told apart', () => {
  expect(cumulativeAliases([], [alias('a', 'b'), alias('b', 'a')])).toEqual([
    alias('a', 'b'),
    alias('b', 'a'),
  ]);
});

test('a shared file is rolled back to the largest size any node recorded, and only if it was appended to', () => {
  const withFile = (size: number, more = {}) =>
    NodePart.fromPartial({
      trees: [
        { sharedFiles: [{ path: '/s/log', sizeBytes: size, writable: true, appendOnly: true, ...more }] },
      ],
    });
  expect(appendedFiles([withFile(10), withFile(30), withFile(20)])).toMatchObject([{ sizeBytes: 30 }]);
  expect(appendedFiles([withFile(10, { appendOnly: false }), withFile(10, { writable: false })])).toEqual([]);
});
