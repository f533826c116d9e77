/** Commands of the coordinator -> what this node does. Fencing comes first (E1); one operation per job at a time. */
import { HoldfastError } from '../../core/errors';
import { toErrorDetail } from '../../core/rpc/errors';
import type {
  Command,
  CommandResult,
  Kill,
  Launch,
  Prepare,
  Prepared,
  TreeStarted,
} from '../../proto/gen/holdfast/v1/agent';
import { CheckpointOperation } from '../checkpoint/operation';
import type { AgentContext } from '../context';
import type { Fencing } from '../fencing';
import { adopt, launch } from '../launch';
import { dropTranslation } from '../network/translation';
import { RestartOperation } from '../restart/operation';
import { discoverSlurm } from '../slurm/discovery/discover';
import type { Tree } from '../trees';

type Body = NonNullable<Command['body']>;
type ResultBody = NonNullable<CommandResult['body']>;

/** Reports progress of the command being executed. */
export type ReportProgress = (phase: string, doneBytes: number, totalBytes: number) => void;

const SIGKILL = 9;
const done: ResultBody = { $case: 'done', value: {} };

/** Commands during which nothing of their job runs. */
const JOB_WAITS: ReadonlySet<Body['$case']> = new Set(['capture', 'release', 'stage', 'restore', 'resume']);

/** Only for a coordinator that has forgotten its operation: it aborts the others itself. */
const SUPERSEDED = 'a newer operation on the job has begun';

export class Dispatcher {
  private readonly checkpoints = new Map<string, CheckpointOperation>();
  private readonly restarts = new Map<string, RestartOperation>();

  constructor(
    private readonly context: AgentContext,
    private readonly fencing: Fencing,
  ) {}

  /** Never rejects: a failure is a result. */
  async execute(command: Command, report: ReportProgress): Promise<CommandResult> {
    const { id, job, epoch, body } = command;
    const { log } = this.context;
    const startMs = Date.now();
    try {
      if (!body)
        throw new HoldfastError('INVALID_ARGUMENT', 'a command without a body: agent and coordinator differ');
      if (body.$case !== 'discoverSlurm') this.fencing.admit(job, epoch);
      const work = () => this.perform(command, body, report);
      const result = await (JOB_WAITS.has(body.$case) ? this.context.priority.urgent(work) : work());
      log.info({ duration_ms: Date.now() - startMs }, 'command done');
      return { id, error: undefined, body: result };
    } catch (thrown) {
      log.warn({ duration_ms: Date.now() - startMs, err: thrown }, 'command failed');
      return { id, error: toErrorDetail(thrown), body: undefined };
    }
  }

  /** Thaws and removes whatever is in flight; for the end of the agent. */
  async abortAll(reason: string): Promise<void> {
    const jobs = new Set([...this.checkpoints.keys(), ...this.restarts.keys()]);
    await Promise.all([...jobs].map((job) => this.abort(job, reason)));
  }

  private async perform(command: Command, body: Body, report: ReportProgress): Promise<ResultBody> {
    const { context } = this;
    const { job } = command;
    switch (body.$case) {
      case 'launch':
        return { $case: 'started', value: await this.launch(command, body.value) };
      case 'adopt':
        return { $case: 'started', value: adopt(context, job, body.value) };
      case 'prepare':
        return { $case: 'prepared', value: await this.prepare(command, body.value, report) };
      case 'capture':
        return { $case: 'captured', value: await this.capture(command, report) };
      case 'release':
        return {
          $case: 'released',
          value: { heldMs: await this.checkpointOf(job).release(body.value.kill) },
        };
      case 'upload':
        return { $case: 'uploaded', value: await this.upload(job) };
      case 'stage': {
        await this.supersede(command);
        const operation = new RestartOperation(context, job, command.generation, command.epoch, body.value);
        this.restarts.set(job, operation);
        await operation.stage();
        return done;
      }
      case 'restore':
        await this.restartOf(job).restore((doneBytes, totalBytes) =>
          report('restore', doneBytes, totalBytes),
        );
        return done;
      case 'resume': {
        const trees = await this.restartOf(job).resume();
        this.restarts.delete(job);
        return { $case: 'resumed', value: { trees } };
      }
      case 'abort':
        await this.abort(job, body.value.reason);
        return done;
      case 'kill':
        await this.kill(job, body.value);
        return done;
      case 'discoverSlurm':
        return { $case: 'discoveredSlurm', value: { processes: discoverSlurm(context, body.value) } };
    }
  }

  /** A job may be ended while its tree is being started: then the tree goes, too. */
  private async launch(command: Command, request: Launch): Promise<TreeStarted> {
    const { job, epoch } = command;
    const started = await launch(this.context, job, request);
    try {
      this.fencing.admit(job, epoch);
      return started;
    } catch (error) {
      const tree = this.context.trees.ofJob(job).find(({ rootPid }) => rootPid === started.rootPid);
      if (tree) await this.context.trees.end(tree, SIGKILL);
      throw error;
    }
  }

  private async prepare(command: Command, request: Prepare, report: ReportProgress): Promise<Prepared> {
    const { job, generation, epoch } = command;
    await this.supersede(command);
    const operation = new CheckpointOperation(this.context, job, { generation, epoch }, this.treesOf(job));
    this.checkpoints.set(job, operation);
    return operation.prepare(request, (bytes) => report('prepare', bytes, 0));
  }

  private async capture({ job }: Command, report: ReportProgress) {
    return { capturedBytes: await this.checkpointOf(job).capture((bytes) => report('capture', bytes, 0)) };
  }

  /** Ends what an older operation left in flight, and makes sure that no newer one came meanwhile (E1). */
  private async supersede({ job, epoch }: Command): Promise<void> {
    await this.abort(job, SUPERSEDED);
    this.fencing.admit(job, epoch);
  }

  private async upload(job: string) {
    const { trees, uploadedBytes } = await this.checkpointOf(job).upload();
    this.checkpoints.delete(job);
    const { options, facts } = this.context;
    return { part: { node: options.node, facts, trees }, uploadedBytes };
  }

  /** Forgets only what it has ended: a newer operation may have begun while it waited. */
  private async abort(job: string, reason: string): Promise<void> {
    const checkpoint = this.checkpoints.get(job);
    const restart = this.restarts.get(job);
    await Promise.all([checkpoint?.abort(reason), restart?.abort(reason)]);
    if (this.checkpoints.get(job) === checkpoint) this.checkpoints.delete(job);
    if (this.restarts.get(job) === restart) this.restarts.delete(job);
  }

  /** Ends or signals the job's trees; with an incarnation only those of earlier ones, which nothing in flight is about. */
  private async kill(job: string, { signal, belowIncarnation }: Kill): Promise<void> {
    const ends = signal === 0 || signal === SIGKILL;
    const isMeant = (tree: Tree) => belowIncarnation === 0 || tree.incarnation < belowIncarnation;
    if (ends && belowIncarnation === 0) await this.abort(job, 'the job is being ended');
    const trees = this.context.trees.ofJob(job).filter(isMeant);
    await Promise.all(trees.map((tree) => this.context.trees.end(tree, signal || SIGKILL)));
    if (ends && belowIncarnation === 0) await dropTranslation(this.context.directory, job);
  }

  private treesOf(job: string) {
    const trees = this.context.trees.ofJob(job);
    if (trees.length === 0) {
      throw new HoldfastError(
        'NOT_FOUND',
        `job ${job} has no tree on ${this.context.options.node}`,
        'it has ended here',
      );
    }
    return trees;
  }

  private checkpointOf(job: string): CheckpointOperation {
    const operation = this.checkpoints.get(job);
    if (operation) return operation;
    throw new HoldfastError(
      'HOLD_LOST',
      `no checkpoint of ${job} is in flight here: it was aborted or the agent restarted`,
    );
  }

  private restartOf(job: string): RestartOperation {
    const operation = this.restarts.get(job);
    if (operation) return operation;
    throw new HoldfastError(
      'ABORTED',
      `no restart of ${job} is in flight here: it was aborted or the agent restarted`,
    );
  }
}
