/**
 * What the node knows of a tree's memory from one generation to the next: the engine's ledger, and the packs it refers
 * to. It says of a page that it need not be stored again only when the generation that holds it was committed.
 */
import { type Ledger, learnContents, openLedger, type TrackMethod } from '../../native';
import type { ObjectRef } from '../../proto/gen/holdfast/v1/manifest';
import type { Tree } from '../trees';
import type { Experience } from './rounds';

export interface GenerationId {
  readonly generation: number;
  readonly epoch: number;
}

const isSame = (one: GenerationId | null, other: GenerationId | null): boolean =>
  one?.generation === other?.generation && one?.epoch === other?.epoch;

export class TreeMemory {
  ledger: Ledger;
  /** By the ledger's numbers. */
  readonly packs = new Map<number, ObjectRef>();
  /** null: nothing of this tree has been captured since the ledger is new. */
  experience: Experience | null = null;
  private base: GenerationId | null = null;
  private attempt: GenerationId | null = null;
  private keyId: string | undefined;

  constructor(private readonly method: TrackMethod | 'probe') {
    this.ledger = openLedger(method);
  }

  /**
   * Settles what became of the last attempt, and begins the next.
   * @param committed the newest committed generation of the job, which the next one builds on
   * @param keyId of the key that encrypts the next one: with a new key nothing of the old one is named any more
   */
  begin(committed: GenerationId | null, next: GenerationId, keyId: string | undefined): void {
    if (this.attempt && isSame(this.attempt, committed)) {
      this.ledger.commit();
      this.base = this.attempt;
    } else if (this.attempt) {
      this.ledger.rollback();
    }
    this.attempt = next;
    // Nothing is known of the generation that counts: another agent made it, or ours has been lost.
    if (!isSame(this.base, committed) || keyId !== this.keyId) this.forget();
    this.keyId = keyId;
  }

  /** Whether nothing is known of the generation that counts: then its contents may be learned, before the capture (M7). */
  knowsNothingOf(committed: GenerationId): boolean {
    return !isSame(this.base, committed);
  }

  /** Numbers for the packs of a committed generation; 0 for null, and for one that is known as another object. */
  numberPacks(refs: readonly (ObjectRef | null)[]): number[] {
    const known = new Map([...this.packs].map(([number, { key }]) => [key, number]));
    return refs.map((ref) => {
      if (ref === null) return 0;
      const number = known.get(ref.key) ?? this.ledger.addPack(ref.sizeBytes);
      known.set(ref.key, number);
      const first = this.packs.get(number) ?? ref;
      this.packs.set(number, first);
      return first.sha256 === ref.sha256 && first.sizeBytes === ref.sizeBytes ? number : 0;
    });
  }

  /** What an index says of packs with these numbers. @throws CORRUPT, UNKNOWN_FORMAT */
  learn(index: Buffer, packs: readonly number[]): number {
    return learnContents(this.ledger, index, packs);
  }

  /** Contents of this generation are known now: they stay known, also when the next attempt fails. */
  learned(committed: GenerationId): void {
    this.base = committed;
  }

  /** The next generation stores every page: what is known may not be true. */
  forget(): void {
    this.ledger = openLedger(this.method);
    this.packs.clear();
    this.experience = null;
    this.base = null;
  }
}

/** Of the trees that live on this node. */
export class TreeMemories {
  private readonly memories = new Map<string, TreeMemory>();

  constructor(private readonly method: TrackMethod | 'probe') {}

  of(tree: Tree): TreeMemory {
    let memory = this.memories.get(tree.directory);
    if (!memory) {
      memory = new TreeMemory(this.method);
      this.memories.set(tree.directory, memory);
    }
    return memory;
  }

  forget(tree: Tree): void {
    this.memories.delete(tree.directory);
  }
}
