/** A committed generation in a store, made without any job: enough to be listed, exported and planned for a restart. */
import { createHash, randomBytes } from 'node:crypto';
import { decodeManifest, encodeManifest, generationPrefix, manifestKey } from '../../../../core/manifest';
import { Manifest, type ObjectRef } from '../../../../proto/gen/holdfast/v1/manifest';
import type { ObjectStore } from '../../../../store/contract';

export const FACTS = {
  hostname: 'n1',
  kernelRelease: '6.18.0',
  criuVersion: '4.2.1',
  architecture: 'x86_64',
  cpuFlags: ['sse2', 'avx2'],
  addresses: ['10.0.0.1'],
  memoryBytes: 1 << 30,
};

export interface GenerationOptions {
  readonly job?: string;
  readonly ckptId?: number;
  readonly uid?: number;
  /** Of each pack. */
  readonly packBytes?: number;
  readonly packs?: number;
}

/** Two nodes; the second tree shares a pack with the first, and both name one of an older generation. */
export async function storeGeneration(
  store: ObjectStore,
  { job = 'j-abcdefghjkmn', ckptId = 17, uid = 1000, packBytes = 5000, packs = 3 }: GenerationOptions = {},
): Promise<Manifest> {
  const put = async (generation: number, name: string, sizeBytes: number): Promise<ObjectRef> => {
    const key = `${generationPrefix(job, generation, 90 + generation)}/${name}`;
    const body = randomBytes(sizeBytes);
    await store.put(key, body);
    return { key, sizeBytes, sha256: createHash('sha256').update(body).digest('hex') };
  };
  const old = await put(2, 'n1/main/pack-00001', packBytes);
  const own: ObjectRef[] = [];
  for (let number = 1; number < packs; number++)
    own.push(await put(3, `n1/main/pack-0000${number}`, packBytes));
  const tree = async (node: string, treeId: string, shared: ObjectRef[]) => ({
    treeId,
    main: treeId === 'main',
    rootPid: 2,
    uid,
    gid: uid,
    tasks: [{ pid: 2, parentPid: 1, threadCount: 3, comm: 'work' }],
    images: { encoding: 'tar+zstd', segments: [await put(3, `${node}/${treeId}/images-00001`, 700)] },
    files: { encoding: 'tar+zstd', segments: [await put(3, `${node}/${treeId}/files-00001`, 0)] },
    index: await put(3, `${node}/${treeId}/index`, 333),
    packs: shared,
    memory: { capturedBytes: 4096, storedBytes: packBytes, chunks: 1 },
    heldMs: 7,
    command: 'work',
  });
  const manifest = Manifest.fromPartial({
    format: 'holdfast-manifest',
    version: 1,
    header: {
      ...{ ckptId, job, generation: 3, epoch: 93, createdMs: 1_700_000_100_000, holdfastVersion: '0.1.0' },
      spec: { argv: ['/bin/work'], workingDirectory: '/', uid, gid: uid, outputPath: '/shared/out' },
    },
    container: { addressAliases: [{ original: '10.0.0.9', current: '10.0.0.1' }] },
    nodes: [
      { node: 'n1', facts: FACTS, trees: [await tree('n1', 'main', [old, ...own])] },
      {
        node: 'n2',
        facts: { ...FACTS, hostname: 'n2', addresses: ['10.0.0.2'] },
        trees: [await tree('n2', 'm1', [...own.slice(0, 1), old])],
      },
    ],
    tail: { nodeCount: 2, treeCount: 2, taskCount: 2 },
  });
  const bytes = encodeManifest(manifest);
  await store.putIfAbsent(manifestKey(job, 3), bytes);
  return decodeManifest(bytes, 'the manifest');
}
