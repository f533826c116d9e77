/**
 * Events of one job or operation, until it ends: from its present state on, or all that came after an event that the caller has
 * seen. Any coordinator tells them, under the same ids; progress is told by the one that leads.
 */
import type { ServerWritableStream } from '@grpc/grpc-js';
import { HoldfastError } from '../../core/errors';
import { toGrpcError } from '../../core/rpc/errors';
import type { Job, NodeProgress, WatchRequest, WatchResponse } from '../../proto/gen/holdfast/v1/coordinator';
import type { Context } from '../context';
import { type Entry, eventOf, type WatchEvent } from '../events/entry';
import { isEnded } from '../state/jobs';
import { type Caller, requireJob, shownTo } from './authorize';

type Call = ServerWritableStream<WatchRequest, WatchResponse>;
type Named = NonNullable<WatchRequest['subject']>;

interface Subject {
  readonly job: string;
  readonly isWanted: (entry: Entry) => boolean;
  /** What says how it is now; of what has ended, its last state. */
  readonly present: () => WatchEvent[];
  /** After it nothing follows. */
  readonly isLast: (event: WatchEvent) => boolean;
}

/** Resolves when it has begun. */
export async function watch(context: Context, caller: Caller, call: Call): Promise<void> {
  const { events, clock } = context;
  const { after, subject: named } = call.request;
  if (named === undefined) throw new HoldfastError('INVALID_ARGUMENT', 'name a job or an operation to watch');
  await events.caughtUp();
  const subject =
    named.$case === 'job' ? jobSubject(context, named.value) : await operationSubject(context, named.value);
  requireJob(caller, 'watch', jobOf(context, subject.job));
  // From here on in one turn of the event loop: nothing that is told now is missed, or told twice.
  const output = new Output(call, caller, subject, () => clock.wallMs());
  const missed = after === '' ? null : events.since(after);
  const present = subject.present();
  if (missed === null) output.begin(present, events.position, after !== '');
  else for (const entry of missed) output.tell(entry);
  // The caller may have seen its end.
  if (present.some(subject.isLast)) output.end();
  output.keep(events.appended.subscribe((entry) => output.tell(entry)));
  output.keep(events.renewed.subscribe(() => output.fail(lostEvents())));
  keepProgress(context, output, named);
}

function jobSubject(context: Context, id: string): Subject {
  return {
    job: id,
    isWanted: ({ job }) => job === id,
    isLast: (event) => event.$case === 'job' && isEnded(event.value),
    present: () => [
      { $case: 'job', value: jobOf(context, id) },
      ...context.events.openOf(id).flatMap((entry) => eventOf(entry) ?? []),
    ],
  };
}

async function operationSubject({ events, operations }: Context, id: string): Promise<Subject> {
  // What is not among the open ones has ended.
  const ended = events.find(id) === undefined ? (await operations.get(id)).operation : undefined;
  return {
    job: ended?.job ?? events.find(id)?.job ?? '',
    isWanted: ({ subject }) => subject === id,
    isLast: (event) => event.$case === 'operation' && event.value.endedMs > 0,
    present: () => {
      const open = events.find(id);
      return [
        (open && eventOf(open)) ?? (ended && { $case: 'operation' as const, value: ended }) ?? [],
      ].flat();
    },
  };
}

/** As was told last, or as it ended. @throws HoldfastError NOT_FOUND */
function jobOf({ events, jobs }: Context, id: string): Job {
  const entry = events.find(id);
  const event = entry === undefined ? null : eventOf(entry);
  return event?.$case === 'job' ? event.value : jobs.get(id);
}

/** Writes until the call is over, then lets go of the subscriptions. */
class Output {
  readonly #subscriptions: (() => void)[] = [];
  #isOpen: boolean;

  constructor(
    private readonly call: Call,
    private readonly caller: Caller,
    private readonly subject: Subject,
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

  /**
   * The last one bears the id: who has seen it has seen all of them.
   * @param isGap the caller has seen events, and what came after them is not known
   */
  begin(present: readonly WatchEvent[], eventId: string, isGap: boolean): void {
    present.forEach((event, at) => {
      this.#send({ event, gap: isGap && at === 0, eventId: at === present.length - 1 ? eventId : '' });
    });
  }

  tell(entry: Entry): void {
    if (!this.#isOpen || !this.subject.isWanted(entry)) return;
    const event = eventOf(entry);
    if (event === null) return;
    this.#send({ event, eventId: entry.id, gap: false });
    if (this.subject.isLast(event)) this.end();
  }

  /** A slow reader misses progress, which the next one replaces, but no change of state. */
  progress(value: NodeProgress): void {
    if (!this.call.writableNeedDrain)
      this.#send({ event: { $case: 'progress', value }, eventId: '', gap: false });
  }

  end(): void {
    if (!this.#isOpen) return;
    this.#close();
    this.call.end();
  }

  fail(error: HoldfastError): void {
    if (!this.#isOpen) return;
    this.#close();
    this.call.emit('error', toGrpcError(error));
  }

  #send({ event, ...rest }: Omit<WatchResponse, 'timeMs' | 'event'> & { event: WatchEvent }): void {
    if (!this.#isOpen) return;
    const shown: WatchEvent =
      event.$case === 'job' ? { $case: 'job', value: shownTo(this.caller, event.value) } : event;
    this.call.write({ timeMs: this.nowMs(), event: shown, ...rest });
  }

  #close(): void {
    this.#isOpen = false;
    for (const unsubscribe of this.#subscriptions) unsubscribe();
  }
}

function keepProgress({ fleet, operations }: Context, output: Output, { $case, value: id }: Named): void {
  output.keep(
    fleet.progress.subscribe(({ node, scope, progress }) => {
      const record = operations.openOf(scope.job).find(({ operation }) => operation.epoch === scope.epoch);
      if (record?.operation[$case === 'job' ? 'job' : 'id'] !== id) return;
      const { phase, doneBytes, totalBytes } = progress;
      output.progress({ operation: record.operation.id, node, phase, doneBytes, totalBytes });
    }),
  );
}

function lostEvents(): HoldfastError {
  const message = 'Redis has lost events';
  return new HoldfastError(
    'COORDINATOR_UNAVAILABLE',
    message,
    'watch again: it begins with the present state',
  );
}
