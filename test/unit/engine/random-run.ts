/** A random series of attempts at generations, each compared with what /proc showed at its hold. */
import {
  type Capture,
  type Ledger,
  openLedger,
  type SnapshotPids,
  startCapture,
  type TrackMethod,
} from '../../../native';
import { OPTIONS } from './capture-all';
import type { Mutators } from './mutators';
import { BlobDigests, differences, pagesOf, type Shadow, shadowOf } from './shadow';

/** What may become of an attempt. abandoned: given up between two steps; failed: in the middle of one. */
type Outcome = 'committed' | 'rolled back' | 'abandoned' | 'failed';
const OUTCOMES: readonly Outcome[] = [
  ...Array<Outcome>(12).fill('committed'),
  ...Array<Outcome>(3).fill('rolled back'),
  ...Array<Outcome>(3).fill('abandoned'),
  'failed',
];

/** Committed generations that can still be restored; older ones are deleted, and packs that none of these names. */
const KEPT = 8;
/** Ledgers number their packs from 1; here all have one numbering. */
const PACKS_PER_LEDGER = 1_000_000;

export interface Counts {
  committed: number;
  attempts: number;
  /** Generations compared with their shadow, also older ones, read again from their packs. */
  compared: number;
  comparedPages: number;
  snapshotPages: number;
  presentPages: number;
  stalePages: number;
}

interface Generation {
  readonly number: number;
  readonly index: Buffer;
  readonly packs: readonly number[];
  readonly shadow: Shadow;
}

export class RandomRun {
  readonly counts: Counts = {
    committed: 0,
    attempts: 0,
    compared: 0,
    comparedPages: 0,
    snapshotPages: 0,
    presentPages: 0,
    stalePages: 0,
  };
  readonly methods = new Set<string>();
  /** Why the wanted method is not used. */
  refusal = '';
  private ledger: Ledger;
  private ledgers = 1;
  private kept: Generation[] = [];
  private stored = new Map<number, Buffer>();
  private blobs = new BlobDigests((number) => this.stored.get(number));

  constructor(
    private readonly mutators: Mutators,
    private readonly method: TrackMethod,
    /** From 0 up to the limit. */
    private readonly below: (limit: number) => number,
  ) {
    this.ledger = openLedger(method);
  }

  /** One attempt. Returns every difference, of it and of an older generation. */
  async attempt(): Promise<string[]> {
    const outcome = OUTCOMES[this.below(OUTCOMES.length)] ?? 'committed';
    const captured = await this.capture(outcome);
    this.counts.attempts++;
    for (const { method, refusal } of this.ledger.trackers()) {
      this.methods.add(method);
      if (refusal.startsWith('this kernel has no')) this.refusal = refusal;
    }
    if (outcome === 'failed') this.forget();
    else if (outcome === 'committed') this.ledger.commit();
    else this.ledger.rollback();
    if (captured === null) return [];
    const wrong = this.compare(captured, this.blobs);
    if (outcome === 'committed') this.keep(captured);
    else this.deletePacks();
    const old = this.kept[this.below(this.kept.length)];
    if (old) wrong.push(...this.compare(old, new BlobDigests((number) => this.stored.get(number))));
    return wrong;
  }

  private async capture(outcome: Outcome): Promise<Generation | null> {
    const capture = startCapture(this.ledger, {
      ...OPTIONS,
      compressionLevel: 0,
      packBytes: 2 ** 20,
      chunkPages: [1, 16, 64][this.below(3)] ?? 64,
    });
    try {
      const packs = this.takePacks(capture);
      packs.catch(() => {});
      for (let rounds = this.below(4); rounds > 0; rounds--) await capture.round(this.mutators.processes());
      if (outcome === 'abandoned' && this.below(2) === 0) return null;
      return await this.hold(capture, outcome, packs);
    } finally {
      capture.close();
      await this.mutators.endClones();
    }
  }

  private async hold(capture: Capture, outcome: Outcome, packs: Promise<void>): Promise<Generation | null> {
    await this.mutators.stop();
    let shadow: Shadow;
    try {
      const processes = this.mutators.processes();
      shadow = shadowOf(processes.map(({ pid }) => pid));
      const snapshots: SnapshotPids[] = this.below(3) === 0 ? this.mutators.clone() : [];
      const gone = outcome === 'failed' ? [{ pid: 4_194_303, imagePid: 4_194_303 }] : [];
      const counts = await capture.freeze([...processes, ...gone], snapshots);
      await capture.readHeld();
      this.counts.snapshotPages += counts.snapshotPages;
      this.counts.presentPages += counts.presentPages;
      this.counts.stalePages += counts.stalePages;
    } catch (error) {
      if (outcome === 'failed') return null;
      throw error;
    } finally {
      this.mutators.resume();
    }
    if (outcome === 'abandoned') return null;
    await capture.readSnapshots();
    await capture.finish();
    await packs;
    const { body, packs: named } = capture.index();
    return {
      number: ++this.counts.committed,
      index: Buffer.from(body),
      packs: named.map((number) => this.packNumber(number)),
      shadow,
    };
  }

  private packNumber = (number: number): number => this.ledgers * PACKS_PER_LEDGER + number;

  private async takePacks(capture: Capture): Promise<void> {
    for (let pack = await capture.next(); pack; pack = await capture.next()) {
      this.stored.set(this.packNumber(pack.number), Buffer.from(pack.body));
      capture.recycle(pack.number);
    }
  }

  private compare(generation: Generation, blobs: BlobDigests): string[] {
    const restored = pagesOf(generation, blobs);
    this.counts.compared++;
    for (const pages of restored.values()) this.counts.comparedPages += pages.size;
    return differences(generation.shadow, restored).map(
      (one) => `generation ${generation.number} (attempt ${this.counts.attempts}): ${one}`,
    );
  }

  private keep(generation: Generation): void {
    this.kept.push(generation);
    if (this.kept.length > KEPT) this.kept.splice(this.below(this.kept.length - 1), 1);
    this.deletePacks();
  }

  /** As a garbage collector does: what the next generation names must be in one that is there. */
  private deletePacks(): void {
    const named = new Set(this.kept.flatMap(({ packs }) => packs));
    for (const number of this.stored.keys()) if (!named.has(number)) this.stored.delete(number);
  }

  private forget(): void {
    this.ledger = openLedger(this.method);
    this.ledgers++;
    this.deletePacks();
  }
}
