/** Operations asked for and followed through the API, while coordinators and agents come and go. */
import { HoldfastError } from '../../core/errors';
import type { Job, Operation } from '../../proto/gen/holdfast/v1/coordinator';
import { LiveMode } from '../../proto/gen/holdfast/v1/manifest';
import type { Stack } from '../harness/stack';
import { until } from './survival';

/** What the call gives, once a coordinator answers; null for an error that time may cure. */
async function unlessAway<T>(call: Promise<T>): Promise<T | null> {
  try {
    return await call;
  } catch (thrown) {
    if (thrown instanceof HoldfastError && thrown.kind.retryable) return null;
    throw thrown;
  }
}

export class Operations {
  /** @param via a node whose agent stays alive */
  constructor(
    private readonly stack: Stack,
    private readonly via: string,
  ) {}

  /** The id of a new checkpoint operation. */
  async checkpoint(job: string): Promise<string> {
    const connection = await this.stack.connection(this.via);
    const call = () =>
      unlessAway(
        connection.call('checkpoint', { job, stop: false, live: LiveMode.AUTO, now: false, cause: '' }),
      );
    return (await until('an answer to a checkpoint request', call)).operation;
  }

  /** The id of a new restart operation. */
  async restart(ckptId: number, nodes: readonly string[], lazy = false): Promise<string> {
    const connection = await this.stack.connection(this.via);
    const request = {
      source: { $case: 'ckptId' as const, value: ckptId },
      nodes: [...nodes],
      outputPath: '',
      lazy,
      deadlineMs: 0,
      walltimeMs: 0,
    };
    const call = () => unlessAway(connection.call('restart', request));
    return (await until('an answer to a restart request', call)).operation;
  }

  async get(id: string): Promise<Operation | null> {
    const connection = await this.stack.connection(this.via);
    const answer = await unlessAway(connection.call('getOperation', { operation: id }));
    return answer?.operation ?? null;
  }

  ended(id: string, timeoutMs = 90_000): Promise<Operation> {
    const look = async () => {
      const operation = await this.get(id);
      return operation !== null && operation.endedMs > 0 ? operation : null;
    };
    return until(`the end of operation ${id}`, look, timeoutMs);
  }

  /** The job, once it is as wanted. */
  job(id: string, what: string, isWanted: (job: Job) => boolean, timeoutMs = 90_000): Promise<Job> {
    const look = async () => {
      const connection = await this.stack.connection(this.via);
      const job = (await unlessAway(connection.call('getJob', { job: id })))?.job;
      return job !== undefined && isWanted(job) ? job : null;
    };
    return until(`${id}: ${what}`, look, timeoutMs);
  }

  /** Generations as the catalog lists them. */
  async generations(job: string): Promise<number[]> {
    const connection = await this.stack.connection(this.via);
    const call = () => unlessAway(connection.call('listCheckpoints', { job }));
    const { checkpoints } = await until('the list of checkpoints', call);
    return checkpoints.map(({ generation }) => generation);
  }
}
