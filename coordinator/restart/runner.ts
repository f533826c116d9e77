/** The effects of a restart: durable phases, commands to agents, and what changes for the job. */
import { type FaultPoint, faultPoint } from '../../core/faults';
import { logging } from '../../core/log';
import { toErrorDetail } from '../../core/rpc/errors';
import { seatOf } from '../../core/slurm/names';
import { type Job, JobState, type PlacedTree } from '../../proto/gen/holdfast/v1/coordinator';
import type { Manifest } from '../../proto/gen/holdfast/v1/manifest';
import type { Context } from '../context';
import { saveDeadline } from '../jobs/deadlines';
import { drive, type Transition } from '../operations/drive';
import { errorOf, type Failure, failureOf } from '../operations/failure';
import { listening } from '../operations/listening';
import { Mailbox } from '../operations/mailbox';
import { nodesOf } from '../state/jobs';
import type { OperationRecord } from '../state/operations';
import { addressMap, cumulativeAliases } from './addresses';
import { concludeFailedRestart, judgeFailedRestart } from './conclude';
import {
  abortFoundRestart,
  beginRestart,
  type NodePhase,
  type Phase,
  type RestartEffect,
  type RestartEvent,
  type RestartState,
  restartMachine,
} from './machine';
import type { Placement } from './planner';
import { manifestWhenThere, placementsFor, type RestartRequest } from './prepare';
import { noteGoodRestart } from './quarantine';
import { sendPhase } from './send';
import { stagesFor } from './stage';

const FAULT_AFTER_ENTRY: Partial<Record<Phase, FaultPoint>> = {
  RESTORE: 'coordinator.restart.staged',
  RESUME: 'coordinator.restart.barrier',
};

export class RestartRunner {
  readonly #mailbox = new Mailbox<RestartEvent>();
  readonly #planning = new AbortController();
  #placements: readonly Placement[] = [];
  #manifest: Manifest | null = null;
  readonly #rootPids = new Map<string, number>();
  /** What a failure leads to and has not been done yet: ABORTED is entered again when it could not be stored. */
  readonly #consequences = [judgeFailedRestart, concludeFailedRestart];

  constructor(
    private readonly context: Context,
    private record: OperationRecord,
    private readonly request: RestartRequest,
  ) {}

  /** Under the job's lock. @throws HoldfastError when there is no plan: nothing was touched */
  run(): Promise<OperationRecord> {
    this.#change({ phase: 'PLAN' });
    return this.#listening(() => this.#begin());
  }

  /** An attempt that this coordinator found unfinished at its start. */
  resume(failure: Failure): Promise<OperationRecord> {
    return this.#listening(() => this.#drive(abortFoundRestart(this.record.nodes, failure)));
  }

  async #listening(work: () => Promise<void>): Promise<OperationRecord> {
    const { context, record } = this;
    const nodes = () => this.record.nodes;
    await listening(context, record.operation, nodes, (event) => this.#hear(event), work);
    return this.record;
  }

  /** PLAN has touched nothing: it may be given up at once, and a lost node only means another plan. */
  #hear(event: RestartEvent): void {
    if (this.record.operation.phase !== 'PLAN') this.#mailbox.post(event);
    else if (event.type === 'abort' && event.failure.code !== 'NODE_LOST')
      this.#planning.abort(errorOf(event.failure));
  }

  async #begin(): Promise<void> {
    const { context } = this;
    const { signal } = this.#planning;
    const job = context.jobs.get(this.record.operation.job);
    await context.operations.put(this.record);
    this.#manifest = await manifestWhenThere(context, job, this.request, signal);
    this.#placements = await placementsFor(context, job, this.#manifest, this.request, signal);
    faultPoint('coordinator.restart.plan');

    const nodes = this.#placements.map(({ node }) => node.name);
    this.record = { ...this.record, nodes };
    this.#change({
      epoch: await context.counters.nextEpoch(job.id),
      generation: this.#manifest.header?.generation ?? 0,
      ckptId: this.#manifest.header?.ckptId ?? 0,
      decisions: this.#placements.map(({ reason }) => reason),
      trees: this.#placedTrees(),
    });
    const { generation, decisions } = this.record.operation;
    context.decisions.note(job.id, 'restart', `from generation ${generation}: ${decisions.join('; ')}`);
    const hosts = nodesOf(context.jobs.get(job.id)).filter((node) => context.fleet.isAlive(node));
    signal.throwIfAborted();
    await this.#drive(beginRestart(nodes, hosts));
  }

  async #drive(start: Transition<RestartState, RestartEffect>): Promise<void> {
    const effects = {
      leads: this.context.leads,
      enter: (state: RestartState) => this.#enter(state),
      perform: ({ phase, nodes }: RestartEffect) => {
        for (const node of nodes) this.#send(phase, node);
      },
    };
    await logging(this.#fields(), () => drive(restartMachine, start, this.#mailbox, effects));
  }

  async #enter(state: RestartState): Promise<Failure | null> {
    const { context, record } = this;
    try {
      const error = state.failure === null ? undefined : toErrorDetail(errorOf(state.failure));
      const endedMs = restartMachine.isOver(state) ? context.clock.wallMs() : 0;
      this.#change({ phase: state.phase, error, endedMs });
      if (state.phase === 'KILL')
        await context.jobs.update(record.operation.job, (job) => this.#restarting(job));
      if (state.phase === 'RUNNING') {
        faultPoint('coordinator.restart.resumed');
        this.#change({ trees: this.#placedTrees() });
        await this.#saveDeadline();
        await context.jobs.update(record.operation.job, (job) => this.#running(job));
        const { job, generation } = this.record.operation;
        await noteGoodRestart(context, job, generation);
      }
      if (state.phase === 'ABORTED') await this.#conclude();
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

  async #conclude(): Promise<void> {
    for (let [next] = this.#consequences; next !== undefined; [next] = this.#consequences) {
      await next(this.context, this.record, this.request);
      this.#consequences.shift();
    }
  }

  /** From here on trees of the older incarnation are stale wherever they are met (E3). */
  #restarting(job: Job): Partial<Job> {
    return {
      state: JobState.RESTARTING,
      incarnation: job.incarnation + 1,
      restartCount: this.request.automatic ? job.restartCount + 1 : 0,
      restoredGeneration: this.record.operation.generation,
      restartsSinceCommit: this.request.automatic ? job.restartsSinceCommit + 1 : 0,
      trees: this.#placedTrees(),
      reason: `restarting from generation ${this.record.operation.generation}`,
      stopCause: '',
      exitCode: undefined,
      endedMs: 0,
    };
  }

  #running(job: Job): Partial<Job> {
    const { outputPath } = this.request;
    return {
      state: JobState.RUNNING,
      reason: '',
      trees: this.#placedTrees(),
      addressAliases: this.#aliases(),
      deadlineMs: this.request.deadlineMs ?? job.deadlineMs,
      spec: job.spec && outputPath !== '' ? { ...job.spec, outputPath } : job.spec,
    };
  }

  /** The run has begun: that a loss of Redis would take its deadline is no reason to end it. */
  async #saveDeadline(): Promise<void> {
    const { clock, jobs, log, store } = this.context;
    const { id, deadlineMs: before } = jobs.get(this.record.operation.job);
    const { deadlineMs } = this.request;
    if (deadlineMs === null || deadlineMs === before) return;
    await saveDeadline(store, id, deadlineMs, clock.wallMs()).catch((err) =>
      log.warn({ job: id, err }, 'the deadline was not stored'),
    );
  }

  #aliases() {
    const earlier = this.#manifest?.container?.addressAliases ?? [];
    return cumulativeAliases(earlier, addressMap(this.#placements));
  }

  #placedTrees(): PlacedTree[] {
    return this.#placements.flatMap(({ part, node }) =>
      part.trees.map(({ treeId, main }) => {
        return { treeId, main, node: node.name, rootPid: this.#rootPids.get(treeId) ?? 0 };
      }),
    );
  }

  #send(phase: NodePhase, node: string): void {
    const { operation } = this.record;
    const { incarnation, spec } = this.context.jobs.get(operation.job);
    const stage = stagesFor({
      placements: this.#placements,
      incarnation,
      aliases: this.#aliases(),
      outputPath: this.request.outputPath,
      lazy: this.request.lazy,
      seat: spec?.slurm ? seatOf(spec.slurm) : '',
    }).get(node);
    sendPhase(this.context.fleet, operation, phase, node, stage).then(
      (trees) => {
        for (const { treeId, rootPid } of trees) this.#rootPids.set(treeId, rootPid);
        this.#mailbox.post({ type: 'answered', phase, node });
      },
      (thrown) => this.#mailbox.post({ type: 'failed', phase, node, failure: failureOf(thrown) }),
    );
  }

  #change(change: Partial<OperationRecord['operation']>): void {
    this.record = { ...this.record, operation: { ...this.record.operation, ...change } };
  }

  #fields() {
    const { id, job, generation, epoch } = this.record.operation;
    return { operation: id, job, generation, epoch };
  }

  #log(state: RestartState): void {
    const failure = state.failure?.message;
    const { decisions } = this.record.operation;
    this.context.log.info({ decisions, phase: state.phase, failure }, `restart ${state.phase}`);
  }
}
