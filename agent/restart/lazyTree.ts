/** A tree that is restarted before its memory is there: its fill, its watchdog, and what becomes of it if they fail. */
import type { Logger } from 'pino';
import { HoldfastError, toHoldfastError } from '../../core/errors';
import type { FillTarget } from '../../native';
import type { ObjectRef } from '../../proto/gen/holdfast/v1/manifest';
import type { ObjectStore } from '../../store/contract';
import type { KeysById } from '../../store/stream';
import { type Cell, endCell } from '../cell/cell';
import { markFilled, markUnfilled, memoryLostFile, recordMemoryLost } from '../cell/unfilled';
import { type FillStatus, LazyMemoryFill } from '../memory/lazyFill';
import { LazyGuard } from '../memory/lazyGuard';

export interface LazyTreeOptions {
  readonly store: ObjectStore;
  readonly index: Buffer;
  readonly packs: readonly ObjectRef[];
  /** Of the packs that are encrypted. */
  readonly keys: KeysById;
  readonly cell: Cell;
  readonly images: string;
  readonly log: Logger;
}

export class LazyTree {
  private readonly fill: LazyMemoryFill;
  private readonly guard: LazyGuard;
  private setEnded!: (complete: boolean) => void;
  /** True when all memory is there, false when the tree was ended or is gone. */
  readonly ended: Promise<boolean>;
  private over = false;
  /** Why the tree was ended; null when it was not. */
  failure: HoldfastError | null = null;

  private constructor(private readonly options: LazyTreeOptions) {
    const { cell, images, store, packs, keys, log } = options;
    this.ended = new Promise((resolve) => {
      this.setEnded = resolve;
    });
    markUnfilled(cell.directory);
    this.fill = new LazyMemoryFill(options.index, {
      ...{ store, packs, keys, log },
      onForked: (fd) => this.guard.keep(fd),
      onFailed: (error) => this.endTree(error),
      onComplete: () => this.onComplete(),
    });
    this.guard = new LazyGuard({
      ...{ images, initPid: cell.initPid, reasonFile: memoryLostFile(cell.directory) },
      onProcess: (imagePid, guardPid, fd) => this.take(imagePid, guardPid, fd),
      onLost: () => this.endTree(new HoldfastError('HOLD_LOST', 'the watchdog of its memory was lost')),
    });
  }

  /** Ready for CRIU when it resolves. */
  static async open(options: LazyTreeOptions): Promise<LazyTree> {
    const tree = new LazyTree(options);
    await tree.guard.listening;
    return tree;
  }

  /** CRIU is at its gate: fills what must be there before the tree runs. */
  async gate(targets: readonly FillTarget[], signal: AbortSignal): Promise<void> {
    await this.guard.restored;
    await this.fill.gate(targets, signal);
  }

  /** All the rest, too, before the tree runs. */
  async complete(
    signal: AbortSignal,
    onProgress: (doneBytes: number, totalBytes: number) => void,
  ): Promise<void> {
    await this.fill.all(signal, onProgress);
    this.finish();
  }

  /** All memory is there, or the tree is gone. */
  get isOver(): boolean {
    return this.over;
  }

  /** The tree is about to run. */
  release(): void {
    this.fill.release();
  }

  /** The tree runs. */
  begin(): void {
    this.fill.begin();
  }

  status(): FillStatus {
    return this.fill.status();
  }

  /** The tree is gone. */
  stop(): void {
    this.end(false);
    this.guard.abandon();
    this.fill.close();
  }

  private take(imagePid: number, guardPid: number, fd: number): void {
    try {
      this.fill.take(imagePid, guardPid, fd);
    } catch (error) {
      const problem = `process ${imagePid} cannot be served: ${toHoldfastError(error).message}`;
      this.endTree(new HoldfastError('INTERNAL', problem));
    }
  }

  private onComplete(): void {
    if (this.over) return;
    this.finish();
    this.options.log.info('all memory of the tree is there');
  }

  private finish(): void {
    markFilled(this.options.cell.directory);
    this.fill.close();
    this.guard.done();
    this.end(true);
  }

  /** Never lets go of a process before it is gone: it would go on with zeros. */
  private endTree(failure: HoldfastError): void {
    if (this.over) return;
    const { cell, log } = this.options;
    this.failure = failure;
    log.error({ err: failure }, 'the tree is ended: its memory cannot be completed');
    recordMemoryLost(cell.directory, `${failure.code}: ${failure.message}`);
    endCell(cell).then(
      () => this.stop(),
      (error) => log.error({ err: error }, 'the tree does not end'),
    );
  }

  private end(complete: boolean): void {
    this.over = true;
    this.setEnded(complete);
  }
}
