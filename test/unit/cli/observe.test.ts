import { observe, type WatchEvent } from '../../../cli/client/observe';
import { hasEnded } from '../../../cli/output/views';
import { HoldfastError } from '../../../core/errors';
import { type Job, JobState } from '../../../proto/gen/holdfast/v1/coordinator';
import { job } from './support/messages';

const ended = job({ state: JobState.COMPLETED });
const jobEvent = (value: Job, eventId = '') => ({ event: { $case: 'job', value } as WatchEvent, eventId });

/** Streams as lists of events; an error at the end of one is thrown there, `null` keeps it open. */
function source(
  streams: (ReturnType<typeof jobEvent> | HoldfastError | null)[][],
  answers: (Job | HoldfastError)[],
) {
  const lost: string[] = [];
  const asked: string[] = [];
  const observed = {
    async *open(after: string, signal: AbortSignal) {
      asked.push(after);
      for (const item of streams.shift() ?? [null]) {
        if (item instanceof HoldfastError) throw item;
        if (item === null)
          await new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve()));
        else yield item;
      }
    },
    get: async () => {
      const answer = answers.length > 1 ? answers.shift() : answers[0];
      if (answer === undefined || answer instanceof HoldfastError) throw answer;
      return answer;
    },
    pick: (event: WatchEvent) => (event.$case === 'job' ? event.value : undefined),
    ended: hasEnded,
    onEvent: () => undefined,
    onValue: () => undefined,
    onLost: (error: HoldfastError) => lost.push(error.code),
  };
  return { observed, lost, asked };
}

test('ends with the event that carries the end', async () => {
  const { observed } = source([[jobEvent(job()), jobEvent(ended)]], [job()]);
  expect(await observe<Job>(observed)).toBe(ended);
});

test('an end that the stream missed is found by asking', async () => {
  const { observed } = source([[jobEvent(job()), null]], [job(), ended]);
  expect(await observe<Job>(observed)).toBe(ended);
});

test('a stream that the server ends early is opened again', async () => {
  const { observed, lost } = source([[jobEvent(job())], [jobEvent(ended)]], [job()]);
  expect(await observe<Job>(observed)).toBe(ended);
  expect(lost).toEqual([]);
});

test('a stream that breaks goes on after the last event that was seen', async () => {
  const away = new HoldfastError('COORDINATOR_UNAVAILABLE', 'away');
  const streams = [
    [jobEvent(job(), '7-0'), jobEvent(job()), away],
    [jobEvent(job(), '7-1')],
    [jobEvent(ended)],
  ];
  const { observed, asked } = source(streams, [job()]);
  expect(await observe<Job>(observed)).toBe(ended);
  expect(asked).toEqual(['', '7-0', '7-1']);
});

test('failures that a retry may cure are told once until the link is back', async () => {
  const away = new HoldfastError('COORDINATOR_UNAVAILABLE', 'away');
  const { observed, lost } = source([[away], [away], [], [jobEvent(ended)]], [job()]);
  expect(await observe<Job>(observed)).toBe(ended);
  expect(lost).toEqual(['COORDINATOR_UNAVAILABLE']);
});

test('other failures are thrown', async () => {
  const gone = new HoldfastError('NOT_FOUND', 'gone');
  const { observed } = source([[gone]], [job()]);
  await expect(observe<Job>(observed)).rejects.toBe(gone);
  const unknown = source([[null]], [gone]);
  await expect(observe<Job>(unknown.observed)).rejects.toBe(gone);
});
