/** Events of one job or operation: its state now, then every change, until it ends. */
import type { ServerWritableStream } from '@grpc/grpc-js';
import { HoldfastError } from '../../core/errors';
import type { WatchRequest, WatchResponse } from '../../proto/gen/holdfast/v1/coordinator';
import type { Context } from '../context';
import { isEnded } from '../state/jobs';
import { isOver, type OperationRecord } from '../state/operations';
import { type Caller, requireJob, shownTo } from './authorize';

type Call = ServerWritableStream<WatchRequest, WatchResponse>;
type Event = NonNullable<WatchResponse['event']>;

/** Resolves when it has begun. */
export async function watch(context: Context, caller: Caller, call: Call): Promise<void> {
  const { subject } = call.request;
  if (subject?.$case === 'job') watchJob(context, caller, subject.value, call);
  else if (subject?.$case === 'operation') await watchOperation(context, caller, subject.value, call);
  else throw new HoldfastError('INVALID_ARGUMENT', 'name a job or an operation to watch');
}

/** Writes until the call is over, then lets go of the subscriptions. */
class Output {
  readonly #subscriptions: (() => void)[] = [];
  #isOpen: boolean;

  constructor(
    private readonly call: Call,
    private readonly nowMs: () => number,
  ) {
    // The caller may have left while it was looked up who it is.
    this.#isOpen = !call.cancelled;
    call.on('cancelled', () => this.#close());
    call.on('error', () => this.#close());
  }

  keep(unsubscribe: () => void): void {
    if (this.#isOpen) this.#subscriptions.push(unsubscribe);
    else unsubscribe();
  }

  send(event: Event): void {
    // A slow reader misses progress, which the next one replaces, but no change of state.
    if (event.$case === 'progress' && this.call.writableNeedDrain) return;
    if (this.#isOpen) this.call.write({ timeMs: this.nowMs(), event });
  }

  end(): void {
    if (!this.#isOpen) return;
    this.#close();
    this.call.end();
  }

  #close(): void {
    this.#isOpen = false;
    for (const unsubscribe of this.#subscriptions) unsubscribe();
  }
}

function watchJob(context: Context, caller: Caller, id: string, call: Call): void {
  const { jobs, operations, clock } = context;
  const job = requireJob(caller, 'watch', jobs.get(id));
  const output = new Output(call, () => clock.wallMs());
  output.send({ $case: 'job', value: shownTo(caller, job) });
  if (isEnded(job)) {
    output.end();
    return;
  }
  for (const { operation } of operations.openOf(id)) output.send({ $case: 'operation', value: operation });
  output.keep(
    operations.changed.subscribe(({ operation }) => {
      if (operation.job === id) output.send({ $case: 'operation', value: operation });
    }),
  );
  output.keep(
    jobs.changed.subscribe((changed) => {
      if (changed.id !== id) return;
      output.send({ $case: 'job', value: shownTo(caller, changed) });
      if (isEnded(changed)) output.end();
    }),
  );
  keepProgress(context, output, ({ operation }) => operation.job === id);
}

async function watchOperation(context: Context, caller: Caller, id: string, call: Call): Promise<void> {
  const { jobs, operations, clock } = context;
  const output = new Output(call, () => clock.wallMs());
  const show = (record: OperationRecord) => {
    output.send({ $case: 'operation', value: record.operation });
    if (isOver(record)) output.end();
  };
  const record = await operations.get(id);
  requireJob(caller, 'watch', jobs.get(record.operation.job));
  // It may have changed while it was read: subscribe first, then show what it is now.
  output.keep(
    operations.changed.subscribe((changed) => {
      if (changed.operation.id === id) show(changed);
    }),
  );
  keepProgress(context, output, ({ operation }) => operation.id === id);
  show(await operations.get(id));
}

function keepProgress(
  { fleet, operations }: Context,
  output: Output,
  isWanted: (record: OperationRecord) => boolean,
): void {
  output.keep(
    fleet.progress.subscribe(({ node, scope, progress }) => {
      const record = operations.openOf(scope.job).find(({ operation }) => operation.epoch === scope.epoch);
      if (record === undefined || !isWanted(record)) return;
      const { phase, doneBytes, totalBytes } = progress;
      const value = { operation: record.operation.id, node, phase, doneBytes, totalBytes };
      output.send({ $case: 'progress', value });
    }),
  );
}
