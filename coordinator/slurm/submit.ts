/**
 * SubmitJob from inside of a Slurm job (docs/architecture.md, "Seats"). What a run of the script asks for is decided under one
 * lock of that Slurm job, and on record before anything is started.
 */
import { HoldfastError, toHoldfastError } from '../../core/errors';
import { faultPoint } from '../../core/faults';
import { type Job, JobState, type SubmitJobResponse } from '../../proto/gen/holdfast/v1/coordinator';
import type { JobSpec, SlurmTask } from '../../proto/gen/holdfast/v1/manifest';
import { type Caller, requireJob, requirePrivilege } from '../api/authorize';
import type { Context } from '../context';
import { killJob } from '../jobs/kill';
import { submitJob } from '../jobs/launch';
import { deadlineOf } from '../jobs/spec';
import { enqueueOperation } from '../operations/enqueue';
import { isEnded } from '../state/jobs';
import { earlierRun, newestResumable, sameAttempt } from './earlier';

type SeatedSpec = JobSpec & { readonly slurm: SlurmTask };

/**
 * @param resume as in SubmitJobRequest
 * @throws HoldfastError NOT_FOUND, WRONG_STATE for a job that cannot be resumed
 */
export function submitSlurmJob(
  context: Context,
  caller: Caller,
  spec: SeatedSpec,
  resume: string,
): Promise<SubmitJobResponse> {
  const { cluster, jobId } = spec.slurm;
  return context.locks.run(`slurm/${spec.uid}/${cluster}/${jobId}`, async () => {
    const asked = sameAttempt(context.jobs.all(), spec.uid, spec.slurm);
    if (asked !== undefined) return answerAgain(context, asked, spec);
    const found = findEarlier(context, caller, spec, resume);
    if (found === undefined) return started(await submitJob(context, caller, spec));
    if (found.state === JobState.COMPLETED) {
      return { job: await claim(context, found, spec), operation: '', completedEarlier: true };
    }
    if (found.lastGeneration > 0) {
      requirePrivilege(caller, 'restart', context.policies().unprivilegedAllowed);
      return resumed(context, found, spec);
    }
    return anew(context, caller, found, spec);
  });
}

const started = (job: Job): SubmitJobResponse => ({ job, operation: '', completedEarlier: false });

async function answerAgain(context: Context, job: Job, spec: SeatedSpec): Promise<SubmitJobResponse> {
  const restart = context.operations.openOf(job.id).find(({ request }) => request.kind === 'restart');
  if (restart !== undefined) return { ...started(job), operation: restart.operation.id };
  // It was claimed, and the coordinator ended before its restart was on record.
  const isClaimedOnly = job.state === JobState.STOPPED || job.state === JobState.LOST;
  return isClaimedOnly && job.lastGeneration > 0 ? resumed(context, job, spec) : started(job);
}

function findEarlier(
  { jobs }: Context,
  caller: Caller,
  { uid, slurm }: SeatedSpec,
  resume: string,
): Job | undefined {
  const all = jobs.all();
  const again = earlierRun(all, uid, slurm);
  if (again !== undefined || resume === '') return again;
  if (resume === 'auto') return newestResumable(all, uid, slurm.key);
  const named = requireJob(caller, 'restart', jobs.get(resume));
  if (!isEnded(named)) {
    const remedy = `wait for its end, or stop it with \`holdfast checkpoint --stop ${named.id}\``;
    throw new HoldfastError('WRONG_STATE', `job ${named.id} has not ended`, remedy);
  }
  if (named.lastGeneration > 0) return named;
  throw new HoldfastError('NOT_FOUND', `job ${named.id} has no committed checkpoint`, 'start it anew');
}

/** It is this run's from now on: the next command with the same words is another one. */
function claim({ jobs }: Context, { id }: Job, wanted: SeatedSpec): Promise<Job> {
  const { slurm, nodes, intervalMs, cron, timeZone, adaptive, retention, restartPolicy } = wanted;
  const now = { slurm, nodes, intervalMs, cron, timeZone, adaptive, restartPolicy };
  return jobs.update(id, ({ spec }) => ({
    spec: spec && { ...spec, ...now, retention: retention ?? spec.retention },
  }));
}

async function resumed(context: Context, found: Job, spec: SeatedSpec): Promise<SubmitJobResponse> {
  const { clock, decisions, running } = context;
  const why = `run ${spec.slurm.restartCount} of Slurm job ${spec.slurm.jobId} goes on with it`;
  // What an earlier run has in flight was for nodes that this one may not have.
  running.abortAllOf(found.id, { code: 'ABORTED', message: why, remedy: '' });
  const job = await claim(context, found, spec);
  faultPoint('coordinator.slurm.claimed');
  const operation = await enqueueOperation(context, job, {
    ...{ kind: 'restart', ckptId: null, nodes: spec.nodes, outputPath: '', lazy: false },
    ...{ automatic: false, drains: false, notBeforeMs: 0 },
    deadlineMs: deadlineOf(spec, clock.wallMs()),
  });
  decisions.note(job.id, 'restart', `${why} (${operation})`);
  return { job, operation, completedEarlier: false };
}

async function anew(
  context: Context,
  caller: Caller,
  found: Job,
  spec: SeatedSpec,
): Promise<SubmitJobResponse> {
  const { jobs, log } = context;
  if (!isEnded(found)) {
    await killJob(context, found.id, 9, spec.uid).catch((thrown) =>
      log.warn({ job: found.id, err: toHoldfastError(thrown) }, 'a job that begins anew was not ended'),
    );
  }
  const job = await submitJob(context, caller, spec);
  await jobs.update(found.id, (old) => ({
    spec: old.spec && { ...old.spec, slurm: { ...spec.slurm, supersededBy: job.id } },
  }));
  return started(job);
}
