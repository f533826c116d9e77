/** Commands of the coordinator -> what a node without processes does: it takes its time, and answers as a real one. */
import { setTimeout as delay } from 'node:timers/promises';
import type { HostedEnd } from '../../agent/session/connection';
import { HoldfastError } from '../../core/errors';
import { toErrorDetail } from '../../core/rpc/errors';
import type { Command, CommandResult, HostedTree, Kill } from '../../proto/gen/holdfast/v1/agent';
import type { NodeFacts } from '../../proto/gen/holdfast/v1/manifest';
import type { Random } from '../contract/random';
import type { Barriers } from './barriers';
import { CAPTURED_BYTES, imageOf } from './image';
import { SimulatedTrees } from './trees';

type ResultBody = NonNullable<CommandResult['body']>;

const SIGKILL = 9;
/** Some 60 MiB through a network that many share. */
const UPLOAD_PACES = 10;
const done: ResultBody = { $case: 'done', value: {} };

export interface NodeOptions {
  readonly name: string;
  readonly facts: NodeFacts;
  readonly barriers: Barriers;
  readonly random: Random;
  /** Preparing and capturing take between half of it and all of it, each time anew, uploading ten times as long. */
  readonly paceMs: number;
  readonly onEnd: (end: HostedEnd) => void;
}

/** A checkpoint in flight here. */
interface Attempt {
  readonly epoch: number;
  readonly keyPrefix: string;
  capturedAtMs: number | null;
  captured: readonly HostedTree[];
  heldMs: number;
}

export class SimulatedNode {
  readonly trees = new SimulatedTrees();
  /** The largest of each job that was seen (E1). */
  readonly #epochs = new Map<string, number>();
  readonly #attempts = new Map<string, Attempt>();

  constructor(private readonly options: NodeOptions) {}

  /** Never rejects: a failure is a result. */
  async execute(command: Command): Promise<CommandResult> {
    const { id } = command;
    try {
      this.#admit(command);
      return { id, error: undefined, body: await this.#perform(command) };
    } catch (thrown) {
      return { id, error: toErrorDetail(thrown), body: undefined };
    }
  }

  /** Thaws whatever is held (F1). */
  abortAll(reason: string): void {
    for (const job of [...this.#attempts.keys()]) this.#abort(job, reason);
  }

  #admit({ job, epoch }: Command): void {
    const seen = this.#epochs.get(job) ?? 0;
    if (epoch < seen)
      throw new HoldfastError('STALE_EPOCH', `epoch ${epoch} of job ${job} is over: ${seen} was seen`);
    this.#epochs.set(job, epoch);
  }

  async #perform({ job, epoch, body }: Command): Promise<ResultBody> {
    const { trees } = this;
    switch (body?.$case) {
      case 'launch': {
        const { treeId, incarnation, spec } = body.value;
        const { rootPid } = trees.start(job, treeId, incarnation);
        const command = spec?.argv[0] ?? '';
        return { $case: 'started', value: { treeId, rootPid, uid: spec?.uid ?? 0, command } };
      }
      case 'adopt': {
        const { treeId, incarnation, callerUid: uid } = body.value;
        const { rootPid } = trees.start(job, treeId, incarnation);
        return { $case: 'started', value: { treeId, rootPid, uid, command: 'simulated' } };
      }
      case 'prepare':
        return this.#prepare(job, epoch, body.value.keyPrefix);
      case 'capture':
        return this.#capture(job, epoch);
      case 'release':
        return this.#release(job, epoch, body.value.kill);
      case 'upload':
        return this.#upload(job, epoch);
      case 'stage':
        for (const { treeId } of body.value.part?.trees ?? [])
          trees.start(job, treeId, body.value.incarnation);
        return done;
      case 'restore':
        await this.#takeTime();
        return done;
      case 'resume':
        return { $case: 'resumed', value: { trees: trees.ofJob(job) } };
      case 'abort':
        this.#abort(job, body.value.reason);
        return done;
      case 'kill':
        this.#kill(job, body.value);
        return done;
      case 'discoverSlurm':
        return { $case: 'discoveredSlurm', value: { processes: [] } };
      case undefined:
        throw new HoldfastError('INVALID_ARGUMENT', 'a command without a body');
    }
  }

  async #prepare(job: string, epoch: number, keyPrefix: string): Promise<ResultBody> {
    if (this.trees.ofJob(job).length === 0)
      throw new HoldfastError('NOT_FOUND', `job ${job} has no tree on ${this.options.name}`);
    this.options.barriers.preparing(job, epoch);
    this.#attempts.set(job, { epoch, keyPrefix, capturedAtMs: null, captured: [], heldMs: 0 });
    await this.#takeTime();
    return { $case: 'prepared', value: { blockers: [], advice: [] } };
  }

  async #capture(job: string, epoch: number): Promise<ResultBody> {
    await this.#takeTime();
    const attempt = this.#attemptOf(job, epoch);
    attempt.captured = this.trees.ofJob(job);
    attempt.capturedAtMs = performance.now();
    this.options.barriers.captured(job, epoch);
    return { $case: 'captured', value: { capturedBytes: CAPTURED_BYTES } };
  }

  #release(job: string, epoch: number, kill: boolean): ResultBody {
    const attempt = this.#attemptOf(job, epoch);
    if (attempt.capturedAtMs === null)
      throw new HoldfastError('HOLD_LOST', `nothing of job ${job} is held here`);
    this.options.barriers.released(job, epoch, this.options.name);
    attempt.heldMs = Math.round(performance.now() - attempt.capturedAtMs);
    if (kill) for (const tree of this.trees.ofJob(job)) this.#end(tree);
    return { $case: 'released', value: { heldMs: attempt.heldMs } };
  }

  async #upload(job: string, epoch: number): Promise<ResultBody> {
    const { keyPrefix, captured, heldMs } = this.#attemptOf(job, epoch);
    const { name: node, facts } = this.options;
    const trees = captured.map((tree) => imageOf(tree, keyPrefix, node, heldMs));
    await this.#takeTime(UPLOAD_PACES);
    this.#attempts.delete(job);
    return { $case: 'uploaded', value: { part: { node, facts, trees }, uploadedBytes: CAPTURED_BYTES } };
  }

  #kill(job: string, { signal, belowIncarnation }: Kill): void {
    const isMeant = (tree: HostedTree) => belowIncarnation === 0 || tree.incarnation < belowIncarnation;
    if (belowIncarnation === 0) this.#abort(job, 'the job is being ended');
    for (const tree of this.trees.ofJob(job).filter(isMeant)) this.#end(tree, signal || SIGKILL);
  }

  #end(tree: HostedTree, signal = SIGKILL): void {
    this.options.onEnd(this.trees.end(tree, signal));
  }

  #abort(job: string, reason: string): void {
    const attempt = this.#attempts.get(job);
    if (attempt === undefined) return;
    this.#attempts.delete(job);
    this.options.barriers.aborted(job, attempt.epoch, reason);
  }

  #attemptOf(job: string, epoch: number): Attempt {
    const attempt = this.#attempts.get(job);
    if (attempt?.epoch === epoch) return attempt;
    throw new HoldfastError('HOLD_LOST', `no checkpoint of ${job} is in flight on ${this.options.name}`);
  }

  #takeTime(paces = 1): Promise<void> {
    const { random } = this.options;
    const paceMs = this.options.paceMs * paces;
    return delay(paceMs / 2 + random.below(paceMs / 2 + 1));
  }
}
