/** Restart of one tree: staged (cell, images, files), restored to the gate and filled, then let go. */
import { createWriteStream, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { addAbortSignal, type Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { HoldfastError } from '../../core/errors';
import { faultPoint } from '../../core/faults';
import type { StreamRef, TreeImage } from '../../proto/gen/holdfast/v1/manifest';
import { downloadStream, fetchOpened, type KeysById } from '../../store/stream';
import { adoptingCell, type Cell, endCell, removeCellDirectory } from '../cell/cell';
import type { AgentContext } from '../context';
import { restoreCommand } from '../criu/commands';
import { Hold } from '../criu/hold';
import { type ImageChanges, idsOfTree, rewriteFiles } from '../criu/images';
import { criuReason } from '../criu/reason';
import { replaceTerminals } from '../criu/terminals';
import { keyIdsOf } from '../encryption/keyRing';
import { unpackDirectory, unpackLocalFiles } from '../files/archive';
import { recordStaged, removeStaged } from '../files/staged';
import { fillMemory } from '../memory/fill';
import { hasUserfault } from '../memory/lazyFill';
import type { GenerationId } from '../memory/treeMemory';
import { pidsOfNamespace } from '../proc/subtree';
import type { Seat } from '../seats/seats';
import { startTicksOf, type Tree } from '../trees';
import { LazyTree } from './lazyTree';
import { putRootProgram } from './rootProgram';

export class TreeRestart {
  private readonly images: string;
  private readonly cellDirectory: string;
  private cell: Cell | null = null;
  private hold: Hold | null = null;
  private lazy: LazyTree | null = null;
  private running = false;
  private keys: KeysById = new Map();

  constructor(
    private readonly context: AgentContext,
    private readonly job: string,
    private readonly incarnation: number,
    readonly image: TreeImage,
    private readonly directory: string,
    private readonly restored: GenerationId,
    private readonly seat: Seat | null,
    /** The restart was given up: nothing more is fetched. */
    private readonly signal: AbortSignal,
  ) {
    this.images = join(directory, 'images');
    this.cellDirectory = context.directory.cell(job, image.treeId, incarnation);
    mkdirSync(this.images, { recursive: true, mode: 0o700 });
  }

  /** Of what is encrypted; one that is not here ends the restart before anything is changed. */
  async fetchKeys(): Promise<void> {
    this.keys = await this.context.keyRing.reading(keyIdsOf(this.image));
  }

  /** Everything up to the restore itself; nothing of the job runs. */
  async stage(changes: ImageChanges): Promise<void> {
    const { store, options } = this.context;
    const { image } = this;
    if (!image.images)
      throw new HoldfastError('CORRUPT', `tree ${image.treeId} has no images in its manifest`);
    await unpackDirectory(this.download(image.images), this.images);
    if (image.rootProgramPath && image.rootProgram) {
      const program = await fetchOpened(store, image.rootProgram, this.keys);
      putRootProgram(this.context.directory, image.rootProgramPath, program);
    }
    if (image.files) {
      const archive = join(this.directory, 'files.tar.zst');
      await pipeline(this.download(image.files), createWriteStream(archive, { mode: 0o600 }));
      await unpackLocalFiles(archive, image, options.localRoots, (paths) =>
        recordStaged(this.directory, image, paths),
      );
    }
    faultPoint('agent.stage.files');
    replaceTerminals(
      this.images,
      image.externalFds.map(({ resource }) => resource),
    );
    const filesImage = join(this.images, 'files.img');
    writeFileSync(filesImage, rewriteFiles(readFileSync(filesImage), changes));
    this.cell = await adoptingCell(
      this.cellDirectory,
      image.rootPid,
      idsOfTree(readFileSync(join(this.images, 'pstree.img'))),
      this.seat,
    );
  }

  /**
   * CRIU restores up to the gate; memory is filled and verified. The tree is complete and stopped.
   * @param group control group to restore it in; null: the agent's own
   */
  async restore(
    { outputPath, lazy }: { outputPath: string; lazy: boolean },
    group: string | null,
    onProgress: (doneBytes: number, totalBytes: number) => void,
  ): Promise<void> {
    const { context, image } = this;
    if (!this.cell) throw new Error('restore before stage');
    const isServed = hasUserfault();
    if (lazy && !isServed)
      throw new HoldfastError('CRIU_UNUSABLE', 'this kernel has no userfaultfd', 'restart without --lazy');
    const resources = [...new Set(image.externalFds.map((external) => external.resource))];
    const inherited = new Map(resources.map((resource, index) => [FIRST_INHERITED + index, resource]));
    const { command, environment, logPath } = restoreCommand(
      context.criu.path,
      this.images,
      inherited,
      image,
      isServed,
    );
    if (isServed) this.lazy = await this.openLazy(this.cell);
    this.hold = new Hold({
      directory: this.directory,
      enterPid: this.cell.initPid,
      group,
      seat: this.seat,
      gate: 'pre-resume',
      leaseMs: context.lease.requireMs(),
      environment,
      command,
      inherit: this.inheritedFiles(inherited, outputPath),
      inheritAs: image,
      explain: () => criuReason(logPath),
    });
    context.lease.attach(this.hold);
    try {
      await this.hold.atGate;
      faultPoint('agent.restore.at-gate');
      await this.fill(lazy, onProgress);
    } catch (error) {
      throw this.cause(error);
    }
    faultPoint('agent.restore.filled');
  }

  /** What CRIU says of a tree that we have ended, since its memory cannot be completed, is a consequence. */
  private cause(error: unknown): unknown {
    return this.lazy?.failure ?? error;
  }

  /** All memory, or for a lazy restart what must be there before it runs. */
  private async fill(
    lazy: boolean,
    onProgress: (doneBytes: number, totalBytes: number) => void,
  ): Promise<void> {
    const { context, image, keys, signal } = this;
    const { index, packs } = image;
    if (!index) throw this.noIndex();
    const targets = this.restoredPids().map(([imagePid, pid]) => ({ imagePid, pid }));
    if (!this.lazy) return fillMemory(context.store, { index, packs, keys, targets, signal, onProgress });
    await this.lazy.gate(targets, signal);
    if (!lazy) await this.lazy.complete(signal, onProgress);
  }

  /** Opens the gate: CRIU lets the tasks go. The tree is registered with this node. */
  async resume(): Promise<Tree> {
    const { context, image, hold, cell } = this;
    if (!hold || !cell) throw new Error('resume before restore');
    const rootPid = pidsOfNamespace(cell.initPid).get(image.rootPid);
    if (rootPid === undefined)
      throw new HoldfastError('INTERNAL', `the root of tree ${image.treeId} is gone`);
    const rootStart = startTicksOf(rootPid);
    // From here on the tree may run: it is on record before it does (L1).
    const tree = context.trees.add({
      job: this.job,
      treeId: image.treeId,
      main: image.main,
      incarnation: this.incarnation,
      rootPid,
      rootStart,
      uid: image.uid,
      gid: image.gid,
      groups: image.groups,
      command: image.command,
      rootProgram: image.rootProgramPath,
      inCell: true,
      seat: this.seat ?? undefined,
      restored: this.restored,
    });
    this.running = true;
    const filling = this.lazy?.isOver ? null : this.lazy;
    if (filling) context.lazyTrees.add(tree, filling);
    filling?.release();
    await hold.pass().catch((error) => {
      throw this.cause(error);
    });
    filling?.begin();
    context.lease.detach(hold);
    return tree;
  }

  /** Takes everything of this attempt away again. */
  async abort(reason: string): Promise<void> {
    if (this.hold) {
      // CRIU first: it takes away what it made on the way, a killed one would leave that behind.
      await this.hold.fail(reason);
      this.context.lease.detach(this.hold);
    }
    if (this.cell) await endCell(this.cell);
    this.lazy?.stop();
    if (!this.running) removeCellDirectory(this.cellDirectory);
  }

  /** Node-local files that were put back; after the abort, when no step makes more of them. */
  removeStaged(): Promise<void> {
    return removeStaged(this.directory);
  }

  private async openLazy(cell: Cell): Promise<LazyTree> {
    const { context, image, images, job, keys } = this;
    if (!image.index) throw this.noIndex();
    const index = await fetchOpened(context.store, image.index, keys);
    const log = context.log.child({ job, tree: image.treeId });
    return LazyTree.open({ store: context.store, index, packs: image.packs, keys, cell, images, log });
  }

  private noIndex(): HoldfastError {
    return new HoldfastError('CORRUPT', `tree ${this.image.treeId} has no page index in its manifest`);
  }

  private download(stream: StreamRef): Readable {
    return addAbortSignal(this.signal, downloadStream(this.context.store, stream, this.keys));
  }

  private restoredPids(): [number, number][] {
    const pids = this.cell ? pidsOfNamespace(this.cell.initPid) : new Map<number, number>();
    return this.image.tasks.flatMap(({ pid }): [number, number][] => {
      const here = pids.get(pid);
      return here === undefined ? [] : [[pid, here]];
    });
  }

  /** Where descriptors lead whose other end was outside the tree: output to a file, input to nothing. */
  private inheritedFiles(
    inherited: ReadonlyMap<number, string>,
    outputPath: string,
  ): ReadonlyMap<number, string> {
    return new Map(
      [...inherited].map(([fd, resource]) => {
        const writable = this.image.externalFds.some((one) => one.resource === resource && one.writable);
        return [fd, writable ? outputPath || '/dev/null' : '/dev/null'];
      }),
    );
  }
}

const FIRST_INHERITED = 400;
