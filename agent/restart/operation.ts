/**
 * One restart of one job on this node: STAGE (fence, files, cells), RESTORE (held at the gate, memory filled),
 * RESUME (fence down, gate open). Nothing of the job runs before RESUME (invariant B3); abort() leaves nothing behind (L1).
 */
import { existsSync, mkdirSync, rmSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { HoldfastError } from '../../core/errors';
import { faultPoint } from '../../core/faults';
import type { HostedTree, Stage } from '../../proto/gen/holdfast/v1/agent';
import type { SharedFile } from '../../proto/gen/holdfast/v1/manifest';
import type { AgentContext } from '../context';
import { putBack, rollBackRecorded } from '../files/rolledBack';
import { type FileOwner, judgeFile, requireSamePath } from '../files/shared';
import { clearLeftOverSockets, dropFence, raiseFence } from '../network/fence';
import { dropTranslation, Translation } from '../network/translation';
import { writeJson } from '../runDirectory';
import { TreeRestart } from './treeRestart';

export class RestartOperation {
  private readonly directory: string;
  private readonly trees: TreeRestart[];
  private readonly translation: Translation;
  private step: Promise<unknown> = Promise.resolve();
  private readonly cancel = new AbortController();
  private ending: Promise<void> | null = null;

  constructor(
    private readonly context: AgentContext,
    readonly job: string,
    private readonly generation: number,
    epoch: number,
    private readonly request: Stage,
  ) {
    const images = request.part?.trees ?? [];
    const seatFor = (uid: number) => (request.seat === '' ? null : context.seats.require(request.seat, uid));
    const seats = images.map(({ uid }) => seatFor(uid));
    this.directory = context.directory.operation(job, epoch);
    mkdirSync(this.directory, { recursive: true, mode: 0o700 });
    // What has to be removed if this agent dies, before any of it is made (L1).
    writeJson(join(this.directory, 'intent.json'), { job });
    this.translation = new Translation(context, job, request.incarnation, request.aliases, seats[0] ?? null);
    this.trees = images.map(
      (image, index) =>
        new TreeRestart(
          context,
          job,
          request.incarnation,
          image,
          join(this.directory, image.treeId),
          { generation, epoch },
          seats[index] ?? null,
          this.cancel.signal,
        ),
    );
  }

  stage(): Promise<void> {
    return this.perform(() => this.stageTrees());
  }

  private async stageTrees(): Promise<void> {
    const { request } = this;
    for (const tree of this.trees) await tree.fetchKeys();
    await raiseFence(this.job, request.peerAddresses, this.ports());
    faultPoint('agent.stage.fence-up');
    await clearLeftOverSockets(this.ports());
    await this.settleFiles();
    this.translation.prepare(this.context.options.node);
    const changes = {
      addresses: new Map(request.addressMap.map(({ original, current }) => [original, current])),
      fileSizes: new Map(request.sharedFiles.map((file) => [file.path, file.sizeBytes])),
    };
    for (const tree of this.trees) {
      this.cancel.signal.throwIfAborted();
      await tree.stage(changes);
    }
    faultPoint('agent.stage.done');
  }

  restore(onProgress: (doneBytes: number, totalBytes: number) => void): Promise<void> {
    return this.perform(() => this.restoreTrees(onProgress));
  }

  private async restoreTrees(onProgress: (doneBytes: number, totalBytes: number) => void): Promise<void> {
    const done = this.trees.map((): readonly [number, number] => [0, 0]);
    const results = await Promise.allSettled(
      this.trees.map((tree, index) =>
        tree.restore(this.request, this.translation.group, (doneBytes, totalBytes) => {
          done[index] = [doneBytes, totalBytes];
          onProgress(
            done.reduce((sum, [bytes]) => sum + bytes, 0),
            done.reduce((sum, [, bytes]) => sum + bytes, 0),
          );
        }),
      ),
    );
    const failed = results.find((result) => result.status === 'rejected');
    if (failed?.status === 'rejected') throw failed.reason;
  }

  resume(): Promise<HostedTree[]> {
    return this.perform(() => this.resumeTrees());
  }

  private async resumeTrees(): Promise<HostedTree[]> {
    await this.translation.raise();
    // One that was not raised is not looked for: the job waits.
    if (this.ports().length > 0) await dropFence(this.job);
    faultPoint('agent.resume.fence-down');
    const trees = await Promise.all(this.trees.map((tree) => tree.resume()));
    // An abort may have ended them meanwhile: then nobody must hear that they run.
    this.cancel.signal.throwIfAborted();
    faultPoint('agent.resume.done');
    this.removeDirectory();
    return trees.map(({ job, treeId, incarnation, rootPid }) => ({ job, treeId, incarnation, rootPid }));
  }

  /** One for all who ask: a late one must not take a newer operation's fence down. */
  abort(reason: string): Promise<void> {
    this.ending ??= this.end(reason);
    return this.ending;
  }

  private async end(reason: string): Promise<void> {
    this.cancel.abort(new HoldfastError('ABORTED', reason));
    // Twice: the step in progress ends sooner without its holds, and may have made more until then.
    await Promise.all(this.trees.map((tree) => tree.abort(reason)));
    await this.step;
    await Promise.all(this.trees.map((tree) => tree.abort(reason)));
    await Promise.all(this.trees.map((tree) => tree.removeStaged()));
    await putBack(this.directory, this.context.log);
    // What the ended trees leave of their connections must not outlive the fence (B3).
    await clearLeftOverSockets(this.ports()).catch((err) =>
      this.context.log.warn({ job: this.job, err }, 'connections of an aborted restart are left'),
    );
    await dropFence(this.job);
    await dropTranslation(this.context.directory, this.job, this.request.incarnation);
    this.removeDirectory();
  }

  private perform<T>(step: () => Promise<T>): Promise<T> {
    this.cancel.signal.throwIfAborted();
    const running = step();
    this.step = running.catch(() => {});
    return running;
  }

  private ports(): number[] {
    return [...new Set(this.trees.flatMap((tree) => tree.image.tcpPorts))];
  }

  /** Checks every shared file of this node's trees; rolls back where this node was told to. */
  private async settleFiles(): Promise<void> {
    for (const { image } of this.trees) {
      for (const file of image.sharedFiles) {
        requireSamePath(file.path);
        if (file.writable) await this.settleFile(this.commonSize(file), image);
      }
    }
    const main = this.trees.find((tree) => tree.image.main)?.image ?? this.trees[0]?.image;
    if (!this.request.rollBackFiles || !main) return;
    for (const file of this.request.sharedFiles) await this.settleFile(file, main);
  }

  /** The size that all nodes agree on, where several recorded the same file. */
  private commonSize(file: SharedFile): SharedFile {
    return this.request.sharedFiles.find((shared) => shared.path === file.path) ?? file;
  }

  private async settleFile(file: SharedFile, owner: FileOwner): Promise<void> {
    const size = existsSync(file.path) ? statSync(file.path).size : null;
    const verdict = judgeFile(file, size);
    if (verdict.action === 'refuse') {
      throw new HoldfastError('FILE_CHANGED', `${file.path}: ${verdict.problem}`, verdict.remedy);
    }
    if (verdict.action === 'roll-back' && this.request.rollBackFiles) {
      const tail = await rollBackRecorded(this.directory, file, this.generation, owner);
      this.context.log.info(
        { job: this.job, path: file.path, tail, tailBytes: verdict.tailBytes },
        'file rolled back',
      );
    }
  }

  private removeDirectory(): void {
    rmSync(this.directory, { recursive: true, force: true });
  }
}
