/** The effects of a checkpoint: durable phases, commands to agents, the commit, and what changes for the job. */
import { type FaultPoint, faultPoint } from '../../core/faults';
import { logging } from '../../core/log';
import { generationPrefix } from '../../core/manifest';
import { toErrorDetail } from '../../core/rpc/errors';
import type { Job } from '../../proto/gen/holdfast/v1/coordinator';
import type { Context } from '../context';
import { drive, type Transition } from '../operations/drive';
import { errorOf, type Failure, failureOf } from '../operations/failure';
import { listening } from '../operations/listening';
import { Mailbox } from '../operations/mailbox';
import { inSlices } from '../operations/slices';
import { nodesOf } from '../state/jobs';
import type { OperationRecord } from '../state/operations';
import { TIMEOUTS_MS } from '../timeouts';
import { commitManifest } from './commit';
import { concludeCheckpoint } from './conclude';
import { discard } from './discard';
import { Gathered } from './gathered';
import {
  beginCheckpoint,
  type CheckpointEffect,
  type CheckpointEvent,
  type CheckpointState,
  checkpointMachine,
  type NodePhase,
  type Phase,
  resumeCheckpoint,
} from './machine';
import { sendPhase } from './send';

/** A crash here must be harmless: after a phase is durable and before its effects. */
const FAULT_AFTER_ENTRY: Partial<Record<Phase, FaultPoint>> = {
  PREPARE: 'coordinator.checkpoint.prepare',
  CAPTURE: 'coordinator.checkpoint.capture',
  RELEASE: 'coordinator.checkpoint.barrier',
  UPLOAD: 'coordinator.checkpoint.released',
  COMMIT: 'coordinator.checkpoint.before-commit',
};

/** Of a Prepare to each, which names the addresses of all: about a millisecond. */
const SLICE_NODES = 8;

export class CheckpointRunner {
  readonly #mailbox = new Mailbox<CheckpointEvent>();
  readonly #gathered = new Gathered();
  readonly #startedAtMs: number;

  constructor(
    private readonly context: Context,
    private record: OperationRecord,
  ) {
    this.#startedAtMs = context.clock.monotonicMs();
  }

  /** From the beginning: generation and epoch are taken here, under the job's lock. */
  async run(): Promise<OperationRecord> {
    const { jobs, counters } = this.context;
    const { operation } = this.record;
    const epoch = await counters.nextEpoch(operation.job);
    const job = jobs.get(operation.job);
    const nodes = nodesOf(job);
    this.#gathered.base = await this.context.catalog.newestCommitted(job);
    this.#gathered.peerAddresses = this.#peerAddresses(job, nodes);
    this.record = {
      ...this.record,
      nodes,
      operation: { ...operation, epoch, generation: job.lastGeneration + 1, trees: job.trees },
    };
    return this.#drive(beginCheckpoint(nodes));
  }

  /** Of the job's nodes now, and those of before a restart: its memory connects to them still, and is redirected. */
  #peerAddresses({ addressAliases }: Job, nodes: readonly string[]): string[] {
    const now = nodes.flatMap((node) => this.context.fleet.node(node)?.facts?.addresses ?? []);
    return [...now, ...addressAliases.map(({ original }) => original)];
  }

  /** An operation that this coordinator found unfinished at its start. */
  resume(failure: Failure): Promise<OperationRecord> {
    const { operation, nodes } = this.record;
    return this.#drive(resumeCheckpoint(operation.phase as Phase, nodes, failure));
  }

  async #drive(start: Transition<CheckpointState, CheckpointEffect>): Promise<OperationRecord> {
    const effects = {
      enter: (state: CheckpointState) => this.#enter(state),
      perform: (effect: CheckpointEffect, state: CheckpointState) => this.#perform(effect, state),
    };
    await listening(
      this.context,
      this.record.operation,
      () => this.record.nodes,
      (event) => this.#mailbox.post(event),
      () => logging(this.#fields(), () => drive(checkpointMachine, start, this.#mailbox, effects)),
    );
    return this.record;
  }

  async #enter(state: CheckpointState): Promise<Failure | null> {
    const { context } = this;
    try {
      if (state.phase === 'COMMIT' && this.record.manifest === null) await this.#prepareCommit();
      this.#note(state);
      if (checkpointMachine.isOver(state)) {
        const durationMs = context.clock.monotonicMs() - this.#startedAtMs;
        this.record = await concludeCheckpoint(context, this.record, this.#gathered, durationMs);
      }
      await context.operations.put(this.record);
      this.#log(state);
      const fault = FAULT_AFTER_ENTRY[state.phase];
      if (fault !== undefined) faultPoint(fault);
      return null;
    } catch (thrown) {
      context.log.error({ phase: state.phase, err: thrown }, 'phase not entered');
      return failureOf(thrown);
    }
  }

  async #prepareCommit(): Promise<void> {
    faultPoint('coordinator.checkpoint.uploaded');
    const { operation } = this.record;
    const ckptId = await this.context.counters.nextCheckpointId();
    const text = this.#gathered.manifestText(this.context, operation, ckptId);
    this.record = { ...this.record, manifest: text, operation: { ...operation, ckptId } };
  }

  #note(state: CheckpointState): void {
    const { operation } = this.record;
    const error = state.failure === null ? undefined : toErrorDetail(errorOf(state.failure));
    const findings = this.#gathered.findings(state.isBlocked);
    const hasReleased = this.record.hasReleased || state.phase === 'RELEASE';
    this.record = {
      ...this.record,
      hasReleased,
      operation: { ...operation, phase: state.phase, error, findings, endedMs: 0 },
    };
  }

  #perform(effect: CheckpointEffect, { unanswered }: CheckpointState): void {
    switch (effect.kind) {
      case 'send':
        void this.#sendAll(effect.phase, effect.nodes);
        return;
      case 'commit':
        void this.#commit(effect.isRetry);
        return;
      case 'discard':
        void this.#discard(unanswered);
    }
  }

  async #discard(unanswered: readonly string[]): Promise<void> {
    const { context, record } = this;
    const { job, generation, epoch } = record.operation;
    try {
      // As long as COMMIT is what a next coordinator would find, it would write the manifest: then all must stay.
      if (record.manifest !== null) await context.operations.put(record);
      await discard(context, { prefix: generationPrefix(job, generation, epoch), job, unanswered });
    } catch (thrown) {
      context.log.warn({ err: thrown }, 'objects of an aborted commit stay');
    }
    this.#mailbox.post({ type: 'discarded' });
  }

  /** Nobody is held who waits for a Prepare or an Upload; a large job's would make the barriers of others wait. */
  #sendAll(phase: NodePhase, nodes: readonly string[]): Promise<void> {
    const sliceLength = phase === 'PREPARE' || phase === 'UPLOAD' ? SLICE_NODES : nodes.length;
    // After the Abort of an operation nothing else of it may be sent.
    const isWanted = () => this.record.operation.phase === phase;
    return inSlices(nodes, sliceLength, isWanted, (node) => this.#send(phase, node));
  }

  #send(phase: NodePhase, node: string): void {
    sendPhase(this.context, this.record, phase, node, this.#gathered).then(
      ({ isBlocked }) => this.#mailbox.post({ type: 'answered', phase, node, isBlocked }),
      (thrown) => this.#mailbox.post({ type: 'failed', phase, node, failure: failureOf(thrown) }),
    );
  }

  async #commit(isRetry: boolean): Promise<void> {
    const { clock, store, log } = this.context;
    if (isRetry) await new Promise<void>((resolve) => clock.after(TIMEOUTS_MS.commitRetry, resolve));
    const outcome = await commitManifest(store, this.record.operation, this.record.manifest ?? '');
    if (outcome.outcome === 'unknown') log.warn({ ...outcome }, 'commit not resolved yet');
    try {
      if (outcome.outcome === 'ours' && !isRetry) faultPoint('coordinator.checkpoint.after-commit');
      this.#mailbox.post({ type: 'committed', ...outcome });
    } catch (thrown) {
      log.warn({ err: thrown }, 'commit not resolved yet');
      this.#mailbox.post({ type: 'committed', outcome: 'unknown', failure: failureOf(thrown) });
    }
  }

  #fields() {
    const { id, job, generation, epoch } = this.record.operation;
    return { operation: id, job, generation, epoch };
  }

  #log(state: CheckpointState): void {
    const failure = state.failure?.message;
    this.context.log.info({ phase: state.phase, failure }, `checkpoint ${state.phase}`);
  }
}
