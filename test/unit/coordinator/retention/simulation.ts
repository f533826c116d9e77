/** One job of a coordinator that may die at any step, over a store and a Redis that keep what was written. */
import type { Catalog } from '../../../../coordinator/catalog/catalog';
import { summaryOf } from '../../../../coordinator/catalog/rebuild';
import type { Context } from '../../../../coordinator/context';
import { collect, collectAfterCommit } from '../../../../coordinator/retention/collect';
import { pin, unpin } from '../../../../coordinator/retention/pins';
import { encodeManifest, generationPrefix, manifestKey } from '../../../../core/manifest';
import { KEEP_ALL } from '../../../../core/retention';
import { Job, JobState } from '../../../../proto/gen/holdfast/v1/coordinator';
import { Manifest, type RetentionPolicy } from '../../../../proto/gen/holdfast/v1/manifest';
import { MemoryStore } from '../../../contract/memoryStore';
import { differences, generationsOf } from '../support/collecting';
import { FACTS } from '../support/generation';
import { ManualClock } from '../support/manualClock';
import { memoryContext } from './memoryContext';
import { Crash, fragile, MemoryRedis } from './memoryRedis';

const JOB = 'j-abcdefghjkmn';
const GRACE_MS = 1000;

interface Written {
  readonly manifest: Manifest;
  readonly packs: string[];
}

export class Simulation {
  readonly counts = { crashes: 0, removed: 0, deleted: 0, committed: 0 };
  readonly #store = new MemoryStore();
  readonly #redis = new MemoryRedis();
  readonly #clock = new ManualClock();
  /** Steps until the coordinator dies. */
  readonly #fuse = { left: Number.POSITIVE_INFINITY };
  #context: Context | null = null;
  #state: bigint;
  #epoch = 0;
  /** Of the newest committed generation: what the next one may name (M3). */
  #packs: string[] = [];
  #newest = 0;
  readonly #pinned = new Set<number>();

  constructor(seed: number) {
    this.#state = BigInt(seed) * 2n + 1n;
  }

  #below(limit: number): number {
    this.#state = (this.#state * 6364136223846793005n + 1442695040888963407n) & 0xffffffffffffffffn;
    return Number(this.#state >> 33n) % limit;
  }

  async step(): Promise<void> {
    this.#clock.advance(this.#below(GRACE_MS));
    const actions = [
      this.#checkpoint,
      this.#checkpoint,
      this.#attempt,
      this.#overlapping,
      this.#sweep,
      this.#sweep,
      this.#setPolicy,
      this.#pin,
    ];
    const action = actions[this.#below(actions.length)] ?? this.#sweep;
    try {
      const context = await this.#coordinator();
      if (this.#below(3) === 0) this.#fuse.left = this.#below(30);
      await action.call(this, context);
    } catch (thrown) {
      if (!(thrown instanceof Crash)) throw thrown;
      this.counts.crashes++;
      this.#context = null;
    }
    this.#fuse.left = Number.POSITIVE_INFINITY;
    // Once in a while Redis is lost with all it knows.
    if (this.#below(40) === 0) await this.#loseRedis();
    await this.#check();
  }

  /** Nothing happens any more but sweeps, by a policy that does not depend on the time. */
  async settle(): Promise<void> {
    const { jobs } = await this.#coordinator();
    const retention = { ...KEEP_ALL, keepLast: 2 };
    await jobs.update(JOB, ({ spec }) => ({ spec: spec && { ...spec, retention } }));
    for (let i = 0; i < 3; i++) {
      await this.#sweep(await this.#coordinator());
      this.#clock.advance(GRACE_MS);
    }
    await this.#check();
    const { garbage } = await differences(this.#store);
    if (garbage.length > 0) throw new Error(`garbage is left: ${garbage}`);
    const listed = (await (await this.#coordinator()).catalog.list(JOB)).map(({ generation }) => generation);
    const there = await generationsOf(this.#store);
    if (`${listed}` !== `${there}`) throw new Error(`the catalog says ${listed}, the store ${there}`);
  }

  async #check(): Promise<void> {
    const { missing } = await differences(this.#store);
    if (missing.length > 0) throw new Error(`a generation lost ${missing}`);
    const there = await generationsOf(this.#store);
    if (this.#newest > 0 && !there.includes(this.#newest))
      throw new Error(`the newest, ${this.#newest}, is gone`);
    for (const generation of this.#pinned)
      if (!there.includes(generation)) throw new Error(`${generation} was pinned, and is gone`);
  }

  async #checkpoint(context: Context): Promise<void> {
    await context.locks.run(JOB, async () => this.#commit(context, await this.#write(context)));
    await this.#afterCommit(context);
  }

  /** Of a coordinator whose lock nobody sees: what it writes may be condemned before it is named, and must stay. */
  async #overlapping(context: Context): Promise<void> {
    const written = await this.#write(context);
    await this.#sweep(context);
    this.#clock.advance(GRACE_MS - 1);
    await this.#sweep(context);
    await this.#commit(context, written);
    await this.#afterCommit(context);
  }

  async #commit(context: Context, { manifest, packs }: Written): Promise<void> {
    const key = manifestKey(JOB, this.#newest + 1);
    const isOurs = await context.store.putIfAbsent(key, encodeManifest(manifest));
    if (!isOurs) throw new Error(`${key} was there`);
    this.#newest++;
    this.#packs = packs;
    this.counts.committed++;
    await context.catalog.add(summaryOf(manifest));
    await context.jobs.update(JOB, () => ({ lastGeneration: this.#newest }));
  }

  async #afterCommit(context: Context): Promise<void> {
    const [summary] = (await context.catalog.list(JOB)).slice(-1);
    if (summary === undefined) throw new Error('nothing was committed');
    await this.#counted(() => collectAfterCommit(context, summary, this.#below(2) === 0));
  }

  /** What is never committed. */
  async #attempt(context: Context): Promise<void> {
    await context.locks.run(JOB, () => this.#write(context));
  }

  async #write({ store }: Context): Promise<Written> {
    const generation = this.#newest + 1;
    const prefix = `${generationPrefix(JOB, generation, ++this.#epoch)}/n1/main`;
    const kept = this.#packs.filter(() => this.#below(3) > 0);
    const own = Array.from({ length: 1 + this.#below(3) }, (_, i) => `${prefix}/pack-0000${i + 1}`);
    for (const key of [...own, `${prefix}/index`]) await store.put(key, Buffer.from('pages'));
    const packs = [...kept, ...own];
    const ref = (key: string) => ({ key, sizeBytes: 5, sha256: 'ab'.repeat(32) });
    const tree = {
      ...{ treeId: 'main', main: true, rootPid: 2, index: ref(`${prefix}/index`), packs: packs.map(ref) },
      tasks: [{ pid: 2, parentPid: 1, threadCount: 1, comm: 'work' }],
    };
    const manifest = Manifest.fromPartial({
      format: 'holdfast-manifest',
      version: 1,
      header: {
        ...{ ckptId: this.#epoch, job: JOB, generation, epoch: this.#epoch },
        createdMs: this.#clock.wallMs(),
        spec: { argv: ['work'], uid: 1000 },
      },
      nodes: [{ node: 'n1', facts: FACTS, trees: [tree] }],
      tail: { nodeCount: 1, treeCount: 1, taskCount: 1 },
    });
    return { manifest, packs };
  }

  async #sweep(context: Context): Promise<void> {
    await this.#counted(() => collect(context, JOB));
  }

  async #counted(work: () => Promise<unknown>): Promise<void> {
    const sizes = async () => ({
      generations: (await generationsOf(this.#store)).length,
      objects: this.#store.objects.size,
    });
    const before = await sizes();
    try {
      await work();
    } finally {
      const after = await sizes();
      const removed = before.generations - after.generations;
      this.counts.removed += removed;
      this.counts.deleted += before.objects - after.objects - removed;
    }
  }

  async #setPolicy({ jobs }: Context): Promise<void> {
    const rules: Partial<RetentionPolicy>[] = [
      {},
      { keepLast: 1 + this.#below(4) },
      { maxAgeMs: this.#below(5000) + 1 },
      { maxBytes: this.#below(60) + 1 },
    ];
    const retention = { ...KEEP_ALL, ...rules[this.#below(rules.length)] };
    await jobs.update(JOB, ({ spec }) => ({ spec: spec && { ...spec, retention } }));
  }

  async #pin({ locks, store }: Context): Promise<void> {
    const there = await generationsOf(this.#store);
    const generation = there[this.#below(there.length || 1)];
    if (generation === undefined) return;
    await locks.run(JOB, async () => {
      const isPinned = this.#pinned.has(generation);
      // While it is on its way nobody relies on it.
      this.#pinned.delete(generation);
      if (isPinned) await unpin(store, JOB, generation);
      else await pin(store, JOB, generation, { uid: 1000, atMs: 0 });
      if (!isPinned) this.#pinned.add(generation);
    });
  }

  /** A commit that was not concluded is, and a lost catalog comes back (C3, C4). */
  async #recover(catalog: Catalog): Promise<void> {
    const known = new Set((await catalog.list(JOB)).map(({ generation }) => generation));
    for (const generation of await generationsOf(this.#store)) {
      if (known.has(generation)) continue;
      await catalog.add(summaryOf(await catalog.manifest(JOB, generation)));
    }
  }

  async #loseRedis(): Promise<void> {
    this.#redis.clear();
    this.#context = null;
  }

  /** The one that works, or the next one, which begins with what the other one wrote. */
  async #coordinator(): Promise<Context> {
    if (this.#context !== null) return this.#context;
    const redis = fragile(this.#redis.client(), this.#fuse);
    const store = fragile(this.#store, this.#fuse);
    const context = await memoryContext(redis, store, this.#clock, GRACE_MS);
    const { jobs, catalog } = context;
    const spec = { uid: 1000, retention: KEEP_ALL };
    const known = jobs.find(JOB) ?? Job.fromPartial({ id: JOB, state: JobState.RUNNING, spec });
    await jobs.put({ ...known, lastGeneration: this.#newest });
    await this.#recover(catalog);
    this.#context = context;
    return context;
  }
}
