/** The end of a run moves: a batch system may change its time limit at any time. */
import type { Context } from '../context';
import { saveDeadline } from '../jobs/deadlines';
import { checkEnd } from '../jobs/spec';
import { keep, planned } from './follow';

/** @throws HoldfastError INVALID_ARGUMENT, NOT_FOUND */
export async function changeDeadline(context: Context, id: string, deadlineMs: number): Promise<void> {
  const { clock, decisions, jobs, schedules, store } = context;
  checkEnd({ deadlineMs, walltimeMs: 0 }, clock.wallMs());
  const before = jobs.get(id).deadlineMs;
  if (before === deadlineMs) return;
  await saveDeadline(store, id, deadlineMs, clock.wallMs());
  const job = await jobs.update(id, () => ({ deadlineMs }));
  decisions.note(
    id,
    'schedule',
    `its deadline is ${deadlineMs === 0 ? 'gone' : new Date(deadlineMs).toISOString()}`,
  );
  const known = schedules.find(id);
  if (known === undefined) return;
  // A run that goes on for longer gets another last checkpoint.
  const last = known.last?.kind === 'deadline' ? null : known.last;
  keep(context, id, planned(context, job, { ...known, last }));
}
