/** A fake agent whose one tree is captured by the native engine: real packs and indexes in the store. */
import type { Command, CommandResult } from '../../../../proto/gen/holdfast/v1/agent';
import { type NodePart, type ObjectRef, TreeImage } from '../../../../proto/gen/holdfast/v1/manifest';
import { sha256Hex } from '../../../../store/sha256';
import { type Generation, Generations, MIB } from '../../engine/capture-all';
import { indexBody, readMaps } from '../../engine/format';
import type { Victim } from '../../engine/victim';
import type { FakeCluster } from './cluster';
import type { FakeAgent } from './fakeAgent';

export class EngineAgent {
  /** Uncompressed, so that the test can read the index. */
  readonly #generations = new Generations('probe', { compressionLevel: 0, packBytes: MIB });
  /** By the ledger's numbers. */
  readonly #packs = new Map<number, ObjectRef>();
  #captured: Generation | null = null;
  #keyPrefix = '';
  #isPending = false;

  constructor(
    private readonly cluster: FakeCluster,
    private readonly agent: FakeAgent,
    private readonly victim: Victim,
  ) {
    agent.overrides.set('prepare', (command) => this.#prepare(command));
    agent.overrides.set('capture', () => this.#capture());
    agent.overrides.set('upload', (command) => this.#upload(command.job));
  }

  /** What the coordinator names as committed is what the ledger may build on (M3). */
  #prepare(command: Command): Promise<CommandResult['body']> {
    if (command.body?.$case !== 'prepare') throw new Error('not a prepare');
    const { baseGeneration, keyPrefix } = command.body.value;
    this.#keyPrefix = keyPrefix;
    if (this.#isPending && baseGeneration > 0) this.#generations.ledger.commit();
    else if (this.#isPending) this.#generations.ledger.rollback();
    this.#isPending = false;
    return this.agent.perform(command);
  }

  async #capture(): Promise<CommandResult['body']> {
    const { pid } = this.victim;
    this.#isPending = true;
    this.#captured = await this.#generations.capture(
      () => [{ pid, imagePid: pid }],
      1,
      async () => {
        await this.victim.stop();
        return { snapshots: [], release: async () => this.victim.resume() };
      },
    );
    return { $case: 'captured', value: { capturedBytes: this.#captured.totals.capturedBytes } };
  }

  async #upload(job: string): Promise<CommandResult['body']> {
    const captured = this.#captured;
    if (captured === null) throw new Error('nothing was captured');
    let uploadedBytes = 0;
    const put = async (name: string, body: Buffer): Promise<ObjectRef> => {
      const key = `${this.#keyPrefix}/${this.agent.node}/main/${name}`;
      await this.cluster.store.put(key, body);
      uploadedBytes += body.length;
      return { key, sizeBytes: body.length, sha256: await sha256Hex(body), encryptionKey: undefined };
    };
    for (const number of captured.packs) {
      const body = this.#generations.stored.get(number);
      if (this.#packs.has(number) || body === undefined) continue;
      this.#packs.set(number, await put(`pack-${String(number).padStart(5, '0')}`, body));
    }
    const packs = captured.packs.flatMap((number) => this.#packs.get(number) ?? []);
    const index = await put('index', captured.index);
    const part: NodePart = this.agent.part(job);
    const trees = part.trees.map((tree) => TreeImage.fromPartial({ ...tree, packs, index }));
    return { $case: 'uploaded', value: { part: { ...part, trees }, uploadedBytes } };
  }
}

/** Bytes of blobs that pages of any of these trees are in, each page once. */
export async function livePackBytes(cluster: FakeCluster, trees: readonly TreeImage[]): Promise<number> {
  /** By pack and offset: the blob's bytes, its pages, and those that are named. */
  const blobs = new Map<string, { lengthBytes: number; pages: number; slots: Set<number> }>();
  for (const { index, packs } of trees) {
    const maps = readMaps(indexBody(await cluster.store.get(index?.key ?? '')));
    for (const { pack, offset, length, runs } of maps.flatMap(({ chunks }) => chunks)) {
      const key = packs[pack - 1]?.key ?? '';
      const id = `${key} ${offset}`;
      const known = blobs.get(id) ?? {
        lengthBytes: length,
        pages: (await cluster.store.get(key, { offset: offset + 16, length: 4 })).readUInt32LE(),
        slots: new Set<number>(),
      };
      blobs.set(id, known);
      for (const { slot, pages } of runs) for (let i = 0; i < pages; i++) known.slots.add(slot + i);
    }
  }
  let liveBytes = 0;
  for (const { lengthBytes, pages, slots } of blobs.values()) liveBytes += (lengthBytes * slots.size) / pages;
  return liveBytes;
}
