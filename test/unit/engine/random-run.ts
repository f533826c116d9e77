/** A random series of attempts at generations, each compared with what /proc showed at its hold, and some restored. */
import {
  type Capture,
  type Ledger,
  openLedger,
  type SnapshotPids,
  startCapture,
  type TrackMethod,
} from '../../../native';
import { OPTIONS } from './capture-all';
import { storedPages, wrongInProcesses, wrongInStore } from './compare';
import type { HollowProgram } from './hollow';
import { type Generation, type HoldMode, KeptGenerations } from './kept';
import type { Mutators } from './mutators';
import { RunCounts } from './random-counts';
import { fill, fillLazily } from './restore';
import { segmentsOf } from './segments';
import { type Shadow, shadowOf } from './shadow';

/** What may become of an attempt. abandoned: given up between two steps; failed: in the middle of one. */
type Outcome = 'committed' | 'rolled back' | 'abandoned' | 'failed';
const OUTCOMES: readonly Outcome[] = [
  ...Array<Outcome>(24).fill('committed'),
  ...Array<Outcome>(3).fill('rolled back'),
  ...Array<Outcome>(2).fill('abandoned'),
  'failed',
];

/** Of so many attempts one is followed by a restore. */
const ATTEMPTS_PER_RESTORE = 4;

/** An attempt as it was decided. */
interface Plan {
  readonly outcome: Outcome;
  readonly mode: HoldMode;
  /** Of pre-copy. */
  readonly rounds: number;
  readonly chunkPages: number;
  /** The shadow reads pages in that were in the swap: sometimes the engine is to meet them there. */
  readonly isShadowFirst: boolean;
}

export class RandomRun {
  readonly counts = new RunCounts();
  /** Why the wanted method is not used. */
  refusal = '';
  private ledger: Ledger;
  private readonly kept: KeptGenerations;

  constructor(
    private readonly mutators: Mutators,
    private readonly hollow: HollowProgram,
    private readonly method: TrackMethod,
    /** From 0 up to the limit. */
    private readonly below: (limit: number) => number,
  ) {
    this.ledger = openLedger(method);
    this.kept = new KeptGenerations(below);
  }

  /** One attempt. Returns every difference, of it and of an older generation. */
  async attempt(): Promise<string[]> {
    const plan = this.decide();
    const generation = await this.capture(plan);
    this.counts.attempts++;
    for (const { method, refusal } of this.ledger.trackers()) {
      this.counts.methods.add(method);
      if (refusal.startsWith('this kernel has no')) this.refusal = refusal;
    }
    this.settle(plan.outcome, generation);
    const wrong = generation ? this.compare(generation) : [];
    if (this.below(ATTEMPTS_PER_RESTORE) === 0) wrong.push(...(await this.restoreAny()));
    return wrong;
  }

  private decide(): Plan {
    return {
      outcome: OUTCOMES[this.below(OUTCOMES.length)] ?? 'committed',
      mode: this.below(2) === 0 ? 'copy at the hold' : 'snapshot',
      rounds: this.below(4),
      chunkPages: [1, 16, 64][this.below(3)] ?? 64,
      isShadowFirst: this.below(2) === 0,
    };
  }

  private settle(outcome: Outcome, generation: Generation | null): void {
    if (outcome === 'committed' && generation) {
      this.ledger.commit();
      this.kept.keep(generation);
    } else if (outcome === 'failed') {
      this.ledger = openLedger(this.method);
      this.kept.forgetLedger();
    } else {
      this.ledger.rollback();
      this.kept.deletePacks();
    }
  }

  private async capture(plan: Plan): Promise<Generation | null> {
    const { chunkPages, outcome, rounds } = plan;
    const options = { ...OPTIONS, compressionLevel: 0, packBytes: 2 ** 20, chunkPages };
    const capture = startCapture(this.ledger, options);
    try {
      const packs = this.kept.takePacks(capture);
      packs.catch(() => {});
      for (let round = 0; round < rounds; round++) await capture.round(this.mutators.processes());
      if (outcome === 'abandoned' && this.below(2) === 0) return null;
      const shadow = await this.hold(capture, plan);
      if (!shadow || outcome === 'abandoned') return null;
      await capture.readSnapshots();
      await capture.finish();
      await packs;
      return this.generationOf(capture, plan, shadow);
    } finally {
      capture.close();
      await this.mutators.endClones();
    }
  }

  /** Null: the capture failed, as it was to. */
  private async hold(capture: Capture, { outcome, mode, isShadowFirst }: Plan): Promise<Shadow | null> {
    await this.mutators.stop();
    try {
      const processes = this.mutators.processes();
      const pids = processes.map(({ pid }) => pid);
      const segments = segmentsOf(pids);
      const leftOut = segments.filter(({ isLeftOut }) => isLeftOut).map(({ id }) => id);
      const before = isShadowFirst ? shadowOf(pids, segments) : null;
      const snapshots: SnapshotPids[] = mode === 'snapshot' ? await this.mutators.clone() : [];
      const gone = outcome === 'failed' ? [{ pid: 4_194_303, imagePid: 4_194_303 }] : [];
      await capture.freeze([...processes, ...gone], snapshots, leftOut);
      await capture.readHeld();
      return before ?? shadowOf(pids, segments);
    } catch (error) {
      if (outcome === 'failed') return null;
      throw error;
    } finally {
      this.mutators.resume();
    }
  }

  private generationOf(capture: Capture, { outcome, mode, rounds }: Plan, shadow: Shadow): Generation {
    const { body, packs } = capture.index();
    if (outcome === 'committed') this.counts.committed(mode, rounds);
    this.counts.saw(shadow);
    const index = Buffer.from(body);
    return { number: this.counts.attempts + 1, mode, index, packs: this.kept.packsOf(packs), shadow };
  }

  private compare(generation: Generation): string[] {
    const stored = storedPages(generation);
    for (const pages of stored.values()) this.counts.of(generation.mode).comparedPages += pages.size;
    return named(generation, '', wrongInStore(generation.shadow, stored));
  }

  private async restoreAny(): Promise<string[]> {
    const generation = this.kept.any();
    if (!generation) return [];
    const isLazy = this.below(2) === 0;
    const tree = await this.hollow.start(generation.shadow, isLazy);
    try {
      const filled = await (isLazy ? fillLazily : fill)(generation, tree);
      this.counts.restored(generation.mode, isLazy, filled);
      return named(
        generation,
        isLazy ? ', restored lazily' : ', restored',
        wrongInProcesses(generation.shadow, tree.pids()),
      );
    } finally {
      await tree.end();
    }
  }
}

const named = ({ number, mode }: Generation, what: string, wrong: string[]): string[] =>
  wrong.map((one) => `attempt ${number} (${mode})${what}: ${one}`);
