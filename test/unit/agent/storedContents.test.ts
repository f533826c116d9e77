/** What a node that knows nothing learns from the newest generation (M7). On the real engine, with a real process and store. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import pino from 'pino';
import { MemoryCapture, type StoredMemory, sha256 } from '../../../agent/memory/capture';
import { learnStored, mayLearnFrom, treesToLearnFrom } from '../../../agent/memory/storedContents';
import { type GenerationId, TreeMemory } from '../../../agent/memory/treeMemory';
import { UploadLimit } from '../../../agent/memory/uploadLimit';
import { UploadRate } from '../../../agent/memory/uploadRate';
import { deriveKeys, type EncryptionKeys } from '../../../core/encryption/keys';
import { sealObject } from '../../../core/encryption/objects';
import { encodeManifest, MANIFEST_FORMAT, MANIFEST_VERSION, manifestKey } from '../../../core/manifest';
import { Manifest, type ObjectRef, TreeImage } from '../../../proto/gen/holdfast/v1/manifest';
import { DirectoryStore } from '../../../store/directory/driver';
import { functionsOf } from '../../../store/wrappers';
import { buildVictim, type Victim } from '../engine/victim';

const MIB = 2 ** 20;
const JOB = 'j-0123456789ab';
const program = buildVictim();
const warnings: string[] = [];
const log = pino(
  { level: 'warn' },
  { write: (line: string) => warnings.push((JSON.parse(line) as { msg: string }).msg) },
);
let root: string;
let store: DirectoryStore;

beforeEach(async () => {
  root = mkdtempSync(join(tmpdir(), 'holdfast-stored-'));
  store = new DirectoryStore(root);
  await store.open();
  warnings.splice(0);
});
afterEach(async () => {
  await program.endAll();
  memories.splice(0);
  await store.close();
  rmSync(root, { recursive: true });
});
afterAll(() => program.remove());

/** One that is collected ends its tracking, and the next look finds everything written. */
const memories: TreeMemory[] = [];

function newMemory(): TreeMemory {
  const memory = new TreeMemory('probe');
  memories.push(memory);
  return memory;
}

const generation = (number: number): GenerationId => ({ generation: number, epoch: 100 + number });

interface Known {
  readonly treeId?: string;
  readonly keys?: EncryptionKeys | null;
  readonly restored?: GenerationId;
}

/** An attempt at generation NUMBER, by a node that knows `memory`, on what the coordinator names. */
async function capture(
  victim: Victim,
  memory: TreeMemory,
  number: number,
  { treeId = 'main', keys = null, restored }: Known = {},
): Promise<StoredMemory & { tree: TreeImage }> {
  const base = number > 1 ? generation(number - 1) : null;
  const { signal } = new AbortController();
  memory.begin(base, generation(number), keys?.id);
  if (base) await learnStored(memory, { store, job: JOB, treeId, base, restored, keys, signal, log });
  const keyPrefix = `jobs/${JOB}/data/${number}-${100 + number}/node1/${treeId}`;
  const attempt = new MemoryCapture(store, memory, {
    ...{ budgetBytes: 64 * MIB, compression: 'lz4', compressionLevel: 1, nice: 0, keys, keyPrefix, signal },
    ...{ uploadRate: new UploadRate(), uploadLimit: new UploadLimit(undefined), onProgress: () => {} },
  });
  try {
    const processes = [{ pid: victim.pid, imagePid: 7 }];
    await attempt.precopy(() => processes);
    await victim.stop();
    await attempt.hold(processes, [], []);
    victim.resume();
    const stored = await attempt.finish();
    const index = await put(`${keyPrefix}/index`, stored.index, keys);
    return { ...stored, tree: TreeImage.fromPartial({ treeId, index, packs: stored.packs }) };
  } finally {
    await attempt.close();
  }
}

async function put(key: string, contents: Buffer, keys: EncryptionKeys | null): Promise<ObjectRef> {
  const body = keys ? sealObject(keys, key, contents) : contents;
  await store.put(key, body);
  return { key, sizeBytes: body.length, sha256: sha256(body), encryptionKey: keys?.id };
}

async function commit(number: number, ...trees: TreeImage[]): Promise<void> {
  const manifest = Manifest.fromPartial({
    format: MANIFEST_FORMAT,
    version: MANIFEST_VERSION,
    header: { ckptId: number, job: JOB, ...generation(number), spec: {} },
    nodes: [
      { node: 'node1', facts: {}, trees: trees.map((tree, index) => ({ ...tree, main: index === 0 })) },
    ],
    tail: { nodeCount: 1, treeCount: trees.length },
  });
  await store.put(manifestKey(JOB, number), encodeManifest(manifest));
}

async function victimWith(...commands: readonly [string, string][]): Promise<Victim> {
  const victim = await program.start();
  for (const [command, answer] of commands) await victim.ask(command, answer);
  return victim;
}

test('after a restart of the agent an unchanged process of 256 MiB is named, not stored', async () => {
  const victim = await victimWith(['big 256', 'big']);
  const first = await capture(victim, newMemory(), 1);
  await commit(1, first.tree);
  const memory = newMemory();
  const second = await capture(victim, memory, 2);
  await commit(2, second.tree);
  const third = await capture(victim, memory, 3);
  console.log(`uploaded: ${[first, second, third].map(({ newBytes }) => newBytes).join(', ')} bytes`);
  expect(first.newBytes).toBeGreaterThan(128 * MIB);
  expect(second.newBytes).toBeLessThan(MIB / 2);
  expect(second.totals.readPages).toBeGreaterThan(65_536);
  // What was learned is a part of what the node builds on: the next one reads no more than what was written.
  expect(third.newBytes).toBeLessThan(MIB / 2);
  expect(third.totals.readPages).toBeLessThan(1000);
  const keys = (packs: readonly ObjectRef[]): string[] => packs.map(({ key }) => key);
  expect(keys(second.packs)).toEqual(expect.arrayContaining(keys(first.packs)));
  expect(warnings).toEqual([]);
});

test('another tree of the job has stored it', async () => {
  const [one, other] = [await victimWith(['big 16', 'big']), await victimWith(['big 1', 'big'])];
  const main = await capture(one, newMemory(), 1);
  const member = await capture(other, newMemory(), 1, { treeId: 'm1' });
  await commit(1, main.tree, member.tree);
  await other.ask('drop', 'dropped');
  await other.ask('big 16', 'big');
  const second = await capture(other, newMemory(), 2, { treeId: 'm1' });
  expect(second.newBytes).toBeLessThan(MIB / 2);
  expect(second.packs.some(({ key }) => key.includes('/main/'))).toBe(true);
});

test('damaged and missing objects mean that more is stored, and a warning', async () => {
  const victim = await victimWith(['big 16', 'big']);
  const first = await capture(victim, newMemory(), 1);
  const all = async (): Promise<void> => {
    const { newBytes, packs } = await capture(victim, newMemory(), 2);
    expect(newBytes).toBeGreaterThan(8 * MIB);
    expect(packs.every(({ key }) => key.includes('/2-102/'))).toBe(true);
  };
  await all(); // no manifest
  await store.put(manifestKey(JOB, 1), Buffer.from('{'));
  await all();
  await commit(1, first.tree);
  await store.put(first.tree.index?.key ?? '', Buffer.alloc(first.index.length));
  await all();
  expect(warnings).toHaveLength(3);
  await store.put(first.tree.index?.key ?? '', first.index);
  // A pack that is gone, or cut short, is not named again.
  for (const { key } of first.packs) await store.delete(key);
  await store.put(first.packs[0]?.key ?? '', Buffer.alloc(100));
  await all();
});

test('a manifest of another epoch, and one that a restart has passed over, are not built on', async () => {
  const victim = await victimWith(['big 16', 'big']);
  const first = await capture(victim, newMemory(), 1);
  await commit(1, first.tree);
  const passedOver = { generation: 0, epoch: 105 };
  expect((await capture(victim, newMemory(), 2, { restored: passedOver })).newBytes).toBeGreaterThan(8 * MIB);
  const restored = { generation: 1, epoch: 105 };
  expect((await capture(victim, newMemory(), 2, { restored })).newBytes).toBeLessThan(MIB / 2);
  expect(warnings).toEqual([]);
  expect(mayLearnFrom({ generation: 3, epoch: 106 }, passedOver)).toBe(true);
  await store.put(manifestKey(JOB, 2), await store.get(manifestKey(JOB, 1)));
  expect((await capture(victim, newMemory(), 3)).newBytes).toBeGreaterThan(8 * MIB);
  expect(warnings).toHaveLength(1);
});

test('only what is encrypted with the key in use is learned', async () => {
  const victim = await victimWith(['big 16', 'big']);
  const keys = deriveKeys('alice/one', Buffer.alloc(32, 1));
  const other = deriveKeys('alice/two', Buffer.alloc(32, 2));
  await commit(1, (await capture(victim, newMemory(), 1, { keys })).tree);
  expect((await capture(victim, newMemory(), 2, { keys })).newBytes).toBeLessThan(MIB / 2);
  expect((await capture(victim, newMemory(), 2, { keys: other })).newBytes).toBeGreaterThan(8 * MIB);
  expect((await capture(victim, newMemory(), 2)).newBytes).toBeGreaterThan(8 * MIB);
  expect(warnings).toEqual([]);
});

test('an attempt that failed leaves what was learned', async () => {
  const victim = await victimWith(['big 16', 'big']);
  await commit(1, (await capture(victim, newMemory(), 1)).tree);
  const memory = newMemory();
  await capture(victim, memory, 2); // not committed
  await store.delete(manifestKey(JOB, 1)); // not asked for again
  memory.begin(generation(1), { generation: 2, epoch: 110 }, undefined);
  expect(memory.knowsNothingOf(generation(1))).toBe(false);
});

test('the tree itself comes first, then others as long as their indexes are small', () => {
  const tree = (treeId: string, mib: number): TreeImage =>
    TreeImage.fromPartial({ treeId, index: { key: treeId, sizeBytes: mib * MIB } });
  const trees = [
    tree('a', 5),
    tree('b', 5),
    tree('own', 60),
    tree('c', 3),
    TreeImage.fromPartial({ treeId: 'd' }),
  ];
  const from = { treeId: 'own', keys: null } as Parameters<typeof treesToLearnFrom>[1];
  expect(treesToLearnFrom(trees, from).map(({ treeId }) => treeId)).toEqual(['own', 'a', 'c']);
});

test('a store that hangs holds the job no longer than its limit', async () => {
  const victim = await victimWith(['big 256', 'big']);
  const memory = newMemory();
  memory.begin(null, generation(1), undefined);
  let fail: (error: Error) => void = () => {};
  const never = new Promise<never>((_, reject) => {
    fail = reject;
  });
  never.catch(() => {});
  const hanging = { ...functionsOf(store), put: () => never };
  const { signal } = new AbortController();
  const attempt = new MemoryCapture(hanging, memory, {
    ...{ budgetBytes: 64 * MIB, compression: 'none', compressionLevel: 0, nice: 0, keys: null, signal },
    ...{ uploadRate: new UploadRate(), uploadLimit: new UploadLimit(undefined), onProgress: () => {} },
    ...{ keyPrefix: 'jobs/hanging', heldStallMs: 300 },
  });
  await victim.stop();
  const held = attempt.hold([{ pid: victim.pid, imagePid: 7 }], [], []);
  await expect(held).rejects.toMatchObject({
    code: 'TIMEOUT',
    message: 'no memory was stored for 0.3 s while the job was held',
  });
  fail(new Error('the test is over'));
  await attempt.close();
});
