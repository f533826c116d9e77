/** What the nodes of each job see of its checkpoints, put together: above all how long the barrier holds the last of them. */

export type SimulationEvent =
  /** The first node was asked to prepare. */
  | { readonly event: 'begun'; readonly job: string; readonly timeMs: number }
  /** From the last node's Captured to the Release at the last node. */
  | { readonly event: 'barrier'; readonly job: string; readonly nodes: number; readonly barrierMs: number }
  | { readonly event: 'aborted'; readonly job: string; readonly reason: string }
  /** A node was released before all had captured (B1). */
  | { readonly event: 'broken'; readonly job: string; readonly node: string }
  | { readonly event: 'leaseLost'; readonly node: string };

interface Open {
  readonly epoch: number;
  prepared: number;
  captured: number;
  released: number;
  lastCapturedMs: number;
}

export class Barriers {
  /** A job has one operation at a time (E2). */
  readonly #open = new Map<string, Open>();

  /** @param nowMs only goes forward */
  constructor(
    private readonly emit: (event: SimulationEvent) => void,
    private readonly nowMs: () => number = () => performance.now(),
    private readonly wallMs: () => number = () => Date.now(),
  ) {}

  preparing(job: string, epoch: number): void {
    const open = this.#find(job, epoch);
    if (open !== undefined) {
      open.prepared++;
      return;
    }
    this.#open.set(job, { epoch, prepared: 1, captured: 0, released: 0, lastCapturedMs: 0 });
    this.emit({ event: 'begun', job, timeMs: this.wallMs() });
  }

  /** The node's answer is about to be sent. */
  captured(job: string, epoch: number): void {
    const open = this.#find(job, epoch);
    if (open === undefined) return;
    open.captured++;
    open.lastCapturedMs = this.nowMs();
  }

  /** The node has received its Release. */
  released(job: string, epoch: number, node: string): void {
    const open = this.#find(job, epoch);
    if (open === undefined) return;
    if (open.captured < open.prepared) this.emit({ event: 'broken', job, node });
    open.released++;
    if (open.released < open.prepared) return;
    this.#open.delete(job);
    const barrierMs = this.nowMs() - open.lastCapturedMs;
    this.emit({ event: 'barrier', job, nodes: open.prepared, barrierMs });
  }

  /** Told once, whichever node hears of it first. */
  aborted(job: string, epoch: number, reason: string): void {
    if (this.#find(job, epoch) === undefined) return;
    this.#open.delete(job);
    this.emit({ event: 'aborted', job, reason });
  }

  #find(job: string, epoch: number): Open | undefined {
    const open = this.#open.get(job);
    return open?.epoch === epoch ? open : undefined;
  }
}
