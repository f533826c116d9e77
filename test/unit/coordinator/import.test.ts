/** Export and import through a real coordinator: who may, what is left of what fails, and what a crash leaves. */
import { createHash, randomInt } from 'node:crypto';
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { FAULT_POINTS, type FaultPoint } from '../../../core/faults';
import { decodeManifest, manifestKey } from '../../../core/manifest';
import { objectsOf } from '../../../core/manifest-objects';
import { fromGrpcError } from '../../../core/rpc/errors';
import { invoke } from '../../../core/rpc/handlers';
import { type ImportResponse, JobState } from '../../../proto/gen/holdfast/v1/coordinator';
import type { Manifest } from '../../../proto/gen/holdfast/v1/manifest';
import { fetchVerified } from '../../../store/stream';
import { FakeCluster, type User } from './support/cluster';
import { storeGeneration } from './support/generation';

let source: FakeCluster;
let target: FakeCluster;
let manifest: Manifest;
const clusters: FakeCluster[] = [];

async function cluster(
  nodes: string[] = [],
  fault?: FaultPoint | `${FaultPoint}:error`,
): Promise<FakeCluster> {
  const made = await FakeCluster.start(nodes, fault);
  clusters.push(made);
  return made;
}

beforeEach(async () => {
  source = await cluster();
  manifest = await storeGeneration(source.store);
  const { client, metadata } = source.user(0);
  await invoke(client, client.rebuildCatalog, {}, { metadata });
});

afterEach(async () => {
  for (const made of clusters.splice(0)) await made.stop();
});

async function exported(caller: User, ckptId = 17): Promise<Buffer> {
  const pieces: Uint8Array[] = [];
  let totalBytes = -1;
  try {
    for await (const { part } of caller.client.export({ ckptId }, caller.metadata)) {
      if (part.$case === 'started') totalBytes = part.value.totalBytes;
      else {
        expect(part.value.length).toBeLessThanOrEqual(2 ** 20);
        pieces.push(part.value);
      }
    }
  } catch (thrown) {
    throw fromGrpcError(thrown);
  }
  const stream = Buffer.concat(pieces);
  expect(stream.length).toBe(totalBytes);
  return stream;
}

/** @param left the caller goes away then, instead of ending the stream */
function imported(caller: User, stream: Buffer, left?: Promise<void>): Promise<ImportResponse> {
  return new Promise((resolve, reject) => {
    const call = caller.client.import(caller.metadata, (error, response) =>
      error ? reject(fromGrpcError(error)) : resolve(response),
    );
    call.on('error', () => undefined);
    for (let offset = 0; offset < stream.length; offset += 10_000) {
      call.write({ data: stream.subarray(offset, offset + 10_000) });
    }
    if (left === undefined) call.end();
    else void left.then(() => call.cancel());
  });
}

async function keys({ store }: FakeCluster): Promise<string[]> {
  const found: string[] = [];
  for (const prefix of ['manifests/', 'jobs/'])
    for await (const { key } of store.list(prefix)) found.push(key);
  return found;
}

const checkpoints = async ({ client, metadata }: User) =>
  (await invoke(client, client.listCheckpoints, { job: '' }, { metadata })).checkpoints;

/** The generation is there, each of its objects with the bytes that it was exported with. */
async function expectWhole({ store }: FakeCluster, { summary }: ImportResponse): Promise<Manifest> {
  const key = manifestKey(summary?.job ?? '', summary?.generation ?? 0);
  const here = decodeManifest(await store.get(key), key);
  const objects = ({ nodes }: Manifest) => nodes.flatMap(({ trees }) => trees).flatMap(objectsOf);
  for (const [index, object] of objects(here).entries()) {
    const original = objects(manifest)[index];
    if (original === undefined) throw new Error(`${object.key} is new`);
    expect((await fetchVerified(store, object)).equals(await fetchVerified(source.store, original))).toBe(
      true,
    );
  }
  return here;
}

test('a generation goes to a cluster where its job never ran, and is restarted there', async () => {
  const stream = await exported(source.user());
  target = await cluster(['a1', 'a2']);
  const root = target.user(0, 'a1');
  const done = await imported(root, stream);
  expect(done).toMatchObject({
    ...{ exportedJob: 'j-abcdefghjkmn', exportedCkptId: 17, objectCount: 9, sealed: false },
    totalBytes: stream.length,
    summary: {
      ckptId: 1,
      job: 'j-abcdefghjkmn',
      generation: 3,
      uid: 1000,
      nodes: ['n1', 'n2'],
      taskCount: 2,
    },
  });
  await expectWhole(target, done);
  const owner = target.user(1000, 'a1');
  expect(await checkpoints(owner)).toEqual([done.summary]);
  expect(await owner.job('j-abcdefghjkmn')).toMatchObject({ state: JobState.STOPPED, lastGeneration: 3 });
  expect(await owner.restart('j-abcdefghjkmn')).toMatchObject({
    phase: 'RUNNING',
    generation: 3,
    ckptId: 1,
  });
  expect(await owner.checkpoint('j-abcdefghjkmn')).toMatchObject({
    phase: 'DONE',
    generation: 4,
    ckptId: 2,
  });
});

test('where the job is known it becomes a new one, and what was there stays as it was', async () => {
  const before = await keys(source);
  const user = source.user();
  const done = await imported(user, await exported(user));
  expect(done).toMatchObject({
    exportedJob: 'j-abcdefghjkmn',
    sealed: true,
    summary: { ckptId: 18, generation: 3 },
  });
  expect(done.summary?.job).not.toBe('j-abcdefghjkmn');
  const here = await expectWhole(source, done);
  expect(here.header?.epoch).toBeGreaterThan(manifest.header?.epoch ?? 0);
  expect((await keys(source)).filter((key) => before.includes(key))).toEqual(before);
  expect((await checkpoints(user)).map(({ ckptId }) => ckptId)).toEqual([17, 18]);
});

test('two imports of one stream at once are two jobs', async () => {
  const stream = await exported(source.user());
  target = await cluster();
  const root = target.user(0);
  const both = await Promise.all([imported(root, stream), imported(root, stream)]);
  const jobs = both.map(({ summary }) => summary?.job);
  expect(new Set(jobs).size).toBe(2);
  expect(jobs).toContain('j-abcdefghjkmn');
  for (const done of both) await expectWhole(target, done);
});

test('who may: the owner what is sealed here, root everything', async () => {
  const stranger = source.user(1001);
  await expect(exported(stranger)).rejects.toMatchObject({ code: 'PERMISSION_DENIED' });
  await expect(exported(stranger, 99)).rejects.toMatchObject({ code: 'NOT_FOUND' });
  const stream = await exported(source.user(0));
  await expect(imported(stranger, stream)).rejects.toMatchObject({
    code: 'PERMISSION_DENIED',
    message: expect.stringContaining('belongs to uid 1000'),
  });
  target = await cluster();
  await expect(imported(target.user(), stream)).rejects.toMatchObject({
    code: 'PERMISSION_DENIED',
    message: expect.stringContaining('nobody vouches'),
  });
  expect(await keys(target)).toEqual([]);
});

test('what is cut off, damaged or given up leaves nothing, and can be repeated', async () => {
  const stream = await exported(source.user());
  target = await cluster();
  const root = target.user(0);
  const middle = stream.length >> 1;
  const flipped = Buffer.from(stream);
  flipped[middle] = (flipped[middle] ?? 0) ^ 4;
  for (const damaged of [stream.subarray(0, middle), stream.subarray(0, -1), flipped]) {
    await expect(imported(root, damaged)).rejects.toMatchObject({ code: 'CORRUPT' });
    expect(await keys(target)).toEqual([]);
  }
  const someStored = async () => {
    while ((await keys(target)).length === 0) await delay(10);
  };
  const interrupted = imported(root, stream.subarray(0, -1), someStored());
  await expect(interrupted).rejects.toMatchObject({ code: 'ABORTED' });
  while ((await keys(target)).length > 0) await delay(10);
  expect(await checkpoints(root)).toEqual([]);
  expect((await imported(root, stream)).summary?.generation).toBe(3);
});

test('random damage on the way through a coordinator: told, and nothing is committed or left', async () => {
  const seed = process.env.HOLDFAST_TEST_SEED ?? String(randomInt(2 ** 31));
  process.stderr.write(`seed of the damages: HOLDFAST_TEST_SEED=${seed}\n`);
  const stream = await exported(source.user());
  target = await cluster();
  const root = target.user(0);
  for (let turn = 0; turn < 30; turn++) {
    const digest = createHash('sha256').update(`${seed} ${turn}`).digest();
    const bit = Math.floor((digest.readUInt32LE(0) / 2 ** 32) * stream.length * 8);
    const damaged = Buffer.from(stream);
    damaged[bit >> 3] = (damaged[bit >> 3] ?? 0) ^ (1 << (bit & 7));
    const isCut = turn % 3 === 0;
    const outcome = await imported(root, isCut ? stream.subarray(0, bit >> 3) : damaged).then(
      () => 'imported',
      (error) => error.code,
    );
    expect({ turn, bit, outcome }).toEqual({
      ...{ turn, bit },
      outcome: expect.stringMatching(/^(CORRUPT|UNKNOWN_FORMAT)$/),
    });
    expect(await keys(target)).toEqual([]);
  }
  expect(await checkpoints(root)).toEqual([]);
  await expectWhole(target, await imported(root, stream));
});

test('a store that fails in between is told, and nothing is left', async () => {
  target = await cluster([], 'coordinator.import.stored:error');
  await expect(imported(target.user(0), await exported(source.user()))).rejects.toMatchObject({
    code: 'INJECTED_FAULT',
  });
  expect(await keys(target)).toEqual([]);
});

const IMPORT_FAULTS = FAULT_POINTS.filter((name) => name.startsWith('coordinator.import.'));

test.each(IMPORT_FAULTS)('a crash at %s: all of it or nothing', async (fault) => {
  const stream = await exported(source.user());
  target = await cluster([], fault);
  await expect(imported(target.user(0), stream)).rejects.toMatchObject({ code: 'COORDINATOR_UNAVAILABLE' });
  expect(await target.died()).toBe('SIGKILL');
  await target.stopCoordinator();
  await target.startCoordinator();
  const root = target.user(0);
  const isCommitted = fault.endsWith('commit');
  if (isCommitted) {
    while ((await checkpoints(root)).length === 0) await delay(10);
    const [summary] = await checkpoints(root);
    await expectWhole(target, { summary } as ImportResponse);
    expect(await root.job('j-abcdefghjkmn')).toMatchObject({ state: JobState.STOPPED, lastGeneration: 3 });
  } else {
    while ((await keys(target)).length > 0) await delay(10);
    expect(await checkpoints(root)).toEqual([]);
  }
  expect((await imported(root, stream)).summary?.ckptId).toBe(2);
});

test('exports and imports of one user are limited, and end with their caller', async () => {
  const user = source.user();
  const open = [1, 2].map(() => user.client.import(user.metadata, () => undefined));
  for (const call of open) call.on('error', () => undefined);
  const refused = async () => {
    for (;;) {
      const outcome = await exported(user).then(
        () => null,
        (error) => error,
      );
      if (outcome !== null) return outcome;
    }
  };
  expect(await refused()).toMatchObject({
    code: 'LIMIT_EXCEEDED',
    message: expect.stringContaining('uid 1000'),
  });
  for (const call of open) call.cancel();
  for (;;) {
    const outcome = await exported(user).catch((error) => error);
    if (Buffer.isBuffer(outcome)) break;
    expect(outcome).toMatchObject({ code: 'LIMIT_EXCEEDED' });
  }
  expect(await readdir(join(source.directory, 'store', 'incoming'))).toEqual([]);
});
