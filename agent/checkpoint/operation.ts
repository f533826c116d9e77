/**
 * One checkpoint of one job on this node: PREPARE copies memory while the trees run and freezes nothing (F4), CAPTURE
 * leaves every tree frozen at its gate, RELEASE opens the gates, UPLOAD makes all durable. abort() thaws from every state.
 */
import { mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import type { EncryptionKeys } from '../../core/encryption/keys';
import { HoldfastError } from '../../core/errors';
import { faultPoint } from '../../core/faults';
import type { Prepare, Prepared } from '../../proto/gen/holdfast/v1/agent';
import type { TreeImage } from '../../proto/gen/holdfast/v1/manifest';
import type { AgentContext } from '../context';
import { type MemoryShare, SMALLEST_SHARE_BYTES } from '../memory/budget';
import type { GenerationId } from '../memory/treeMemory';
import { treeFacts } from '../preflight/facts';
import { lasting, preflight } from '../preflight/rules';
import type { Tree } from '../trees';
import { TreeCapture } from './treeCapture';

/** How long PREPARE waits for the memory of a lazy restart; nothing is held meanwhile. Below the coordinator's limit. */
const COMPLETE_MS = 50_000;

/** A tree's part of the budget: two packs, and what is on the way between the threads. */
const SMALLEST_TREE_BYTES = SMALLEST_SHARE_BYTES / 2;

export class CheckpointOperation {
  private readonly directory: string;
  private captures: TreeCapture[] = [];
  private readonly cancel = new AbortController();
  private share: MemoryShare | null = null;
  /** By tree. */
  private keys: readonly (EncryptionKeys | null)[] = [];
  private step: Promise<unknown> = Promise.resolve();

  constructor(
    private readonly context: AgentContext,
    readonly job: string,
    private readonly id: GenerationId,
    private readonly trees: readonly Tree[],
  ) {
    this.directory = context.directory.operation(job, id.epoch);
  }

  /**
   * Preflight; the memory for the capture, which nobody should wait for once a node of the job is frozen; and as much of
   * the capture as can be done while the trees run.
   */
  prepare(request: Prepare, onProgress: (bytes: number) => void): Promise<Prepared> {
    return this.perform(async () => {
      faultPoint('agent.prepare');
      const patience = AbortSignal.any([this.cancel.signal, AbortSignal.timeout(COMPLETE_MS)]);
      await this.context.lazyTrees.untilComplete(this.job, patience);
      const prepared = await this.preflight(request.peerAddresses);
      if (prepared.blockers.length > 0) return prepared;
      // A missing key is found here, before anything is frozen.
      this.keys = await Promise.all(this.trees.map((tree) => this.context.keyRing.writing(tree.uid)));
      const atLeast = SMALLEST_TREE_BYTES * this.trees.length;
      this.share = await this.context.memoryBudget.take(this.cancel.signal, atLeast);
      this.captures = this.open(request, this.share);
      const report = this.sumOf(onProgress);
      await this.allOrAbort(this.captures.map((capture, index) => capture.precopy(report(index))));
      return prepared;
    });
  }

  /** Freezes all trees, then reads them. They stay frozen. Returns the bytes of memory captured. */
  capture(onProgress: (bytes: number) => void): Promise<number> {
    return this.perform(async () => {
      if (!this.share)
        throw new HoldfastError('WRONG_STATE', `the checkpoint of ${this.job} was not prepared here`);
      const report = this.sumOf(onProgress);
      await this.allOrAbort(this.captures.map((capture) => capture.freeze()));
      const bytes = await this.allOrAbort(this.captures.map((capture, index) => capture.read(report(index))));
      faultPoint('agent.capture.done');
      return bytes.reduce((sum, one) => sum + one, 0);
    });
  }

  private open({ keyPrefix, baseGeneration, baseEpoch, live }: Prepare, share: MemoryShare): TreeCapture[] {
    const { directory, trees } = this;
    mkdirSync(directory, { recursive: true, mode: 0o700 });
    let unstored = trees.length;
    const onStored = () => {
      unstored -= 1;
      if (unstored === 0) share.release();
    };
    return trees.map(
      (tree, index) =>
        new TreeCapture(this.context, tree, {
          directory: join(directory, tree.treeId),
          keyPrefix: `${keyPrefix}/${this.context.options.node}/${tree.treeId}`,
          id: this.id,
          base: baseGeneration > 0 ? { generation: baseGeneration, epoch: baseEpoch } : null,
          live,
          keys: this.keys[index] ?? null,
          budgetBytes: Math.floor(share.bytes / trees.length),
          signal: this.cancel.signal,
          onStored,
        }),
    );
  }

  /** Progress of several trees as one. */
  private sumOf(onProgress: (bytes: number) => void): (index: number) => (bytes: number) => void {
    const done = this.trees.map(() => 0);
    return (index) => (bytes) => {
      done[index] = bytes;
      onProgress(done.reduce((sum, one) => sum + one, 0));
    };
  }

  private async preflight(peerAddresses: readonly string[]): Promise<Prepared> {
    const { context } = this;
    const addresses = [...context.options.addresses, ...peerAddresses];
    const prepared: Prepared = { blockers: [], advice: [] };
    for (const tree of this.trees) {
      const home = tree.cell?.initPid ?? null;
      const look = async () => preflight(await treeFacts(tree.rootPid, tree.uid, home, addresses));
      const { blockers: suspects, advice } = await look();
      const blockers = suspects.length > 0 ? lasting(suspects, (await look()).blockers) : [];
      prepared.blockers.push(...blockers);
      prepared.advice.push(...advice);
      for (const blocker of blockers)
        context.log.warn({ job: tree.job, tree: tree.treeId, ...blocker }, 'cannot be captured');
    }
    return prepared;
  }

  /** Lets the trees go on, or ends them. Returns the longest hold, in ms. */
  release(kill: boolean): Promise<number> {
    return this.perform(async () => {
      if (kill) for (const capture of this.captures) capture.stop();
      const held = await this.allOrAbort(this.captures.map((capture) => capture.release()));
      if (kill) await Promise.all(this.trees.map((tree) => this.context.trees.end(tree, 9)));
      return Math.max(0, ...held);
    });
  }

  upload(): Promise<{ trees: TreeImage[]; uploadedBytes: number }> {
    return this.perform(async () => {
      const trees: TreeImage[] = [];
      for (const capture of this.captures) trees.push(await capture.upload());
      faultPoint('agent.upload.done');
      this.removeAll();
      const uploadedBytes = this.captures.reduce((sum, capture) => sum + capture.bytesUploaded, 0);
      return { trees, uploadedBytes };
    });
  }

  /** Thaws; afterwards nothing of the checkpoint is there or under way, in the store neither. */
  async abort(reason: string): Promise<void> {
    await this.giveUp(reason);
    await this.step;
    // The step may have made more until it noticed.
    await this.giveUp(reason);
    this.removeAll();
  }

  private perform<T>(step: () => Promise<T>): Promise<T> {
    if (this.cancel.signal.aborted)
      throw new HoldfastError('ABORTED', `the checkpoint of ${this.job} was aborted here`);
    const running = step();
    this.step = running.catch(() => {});
    return running;
  }

  private async giveUp(reason: string): Promise<void> {
    this.cancel.abort(new HoldfastError('ABORTED', reason));
    await Promise.all(this.captures.map((capture) => capture.abort(reason)));
  }

  /** Waits for every step: a failure of one tree must not leave another one's step running unseen. */
  private async allOrAbort<T>(steps: readonly Promise<T>[]): Promise<T[]> {
    const results = await Promise.allSettled(steps);
    const failed = results.find((result) => result.status === 'rejected');
    if (failed?.status === 'rejected') {
      const { reason } = failed;
      await this.giveUp(reason instanceof Error ? reason.message : String(reason));
      throw reason;
    }
    return results.map((result) => (result as PromiseFulfilledResult<T>).value);
  }

  private removeAll(): void {
    this.share?.release();
    rmSync(this.directory, { recursive: true, force: true });
  }
}
