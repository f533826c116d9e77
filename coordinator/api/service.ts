/** CoordinatorService for one caller: who may, then what. */
import { HoldfastError } from '../../core/errors';
import type { GetCheckpointResponse, Job } from '../../proto/gen/holdfast/v1/coordinator';
import { rebuildCatalog } from '../catalog/rebuild';
import type { Context } from '../context';
import { drainNode, undrainNode } from '../drain/drain';
import { killJob } from '../jobs/kill';
import { submitJob, trackProcess } from '../jobs/launch';
import { launchMember } from '../jobs/members';
import { checkSpec, hasSchedule } from '../jobs/spec';
import { changeDeadline } from '../schedule/deadline';
import { ofNode } from '../slurm/records';
import { submitSlurmJob } from '../slurm/submit';
import { listSlurmTasks } from '../slurm/tasks';
import { isEnded } from '../state/jobs';
import {
  type Caller,
  manifestFor,
  mayAct,
  ownerOf,
  requireCheckpoint,
  requireJob,
  requirePrivilege,
  shownTo,
} from './authorize';
import type { Handlers } from './handlers';
import { requestCheckpoint, requestRestart } from './requests';
import {
  collectGarbage,
  explainRetention,
  pinCheckpoint,
  removeCheckpoint,
  setRetention,
  usageFor,
} from './retention';
import { exportCheckpoint, importCheckpoint } from './transfer';
import { watch } from './watch';

const SIGTERM = 15;

export function coordinatorHandlers(context: Context, caller: Caller): Handlers {
  const { catalog, clock, decisions, drains, fleet, jobs, operations, schedules } = context;
  const withNews = (job: Job): Job => ({
    ...shownTo(caller, job),
    filling: fleet.fillingOf(job.id, job.incarnation),
    schedule: schedules.find(job.id)?.next ?? undefined,
  });
  return {
    submitJob: async ({ spec: asked, resume }) => {
      const spec = checkSpec(asked, caller, clock.wallMs());
      if (hasSchedule(spec)) requirePrivilege(caller, 'schedule', context.policies().unprivilegedAllowed);
      const { slurm } = spec;
      if (slurm !== undefined) return submitSlurmJob(context, caller, { ...spec, slurm }, resume);
      if (resume !== '') throw new HoldfastError('INVALID_ARGUMENT', 'resume is for Slurm jobs only');
      return { job: await submitJob(context, caller, spec), operation: '', completedEarlier: false };
    },
    trackProcess: async (request) => {
      // There is nothing else that it is good for.
      requirePrivilege(caller, 'checkpoint', context.policies().unprivilegedAllowed);
      return { job: await trackProcess(context, caller, request) };
    },
    launchMember: async (request) => {
      requireJob(caller, 'launchMember', jobs.get(request.job));
      return { exitCode: await launchMember(context, request) };
    },
    listJobs: async ({ all }) => {
      const isShown = (job: Job) => mayAct(caller, 'listJobs', ownerOf(job)) && (all || !isEnded(job));
      const visible = jobs.all().filter(isShown);
      const untracked = context.slurm.untracked().filter(({ uid }) => mayAct(caller, 'listJobs', uid));
      return { jobs: visible.sort((a, b) => (a.id < b.id ? -1 : 1)).map(withNews), untracked };
    },
    getJob: async ({ job: id }) => {
      const job = requireJob(caller, 'getJob', jobs.get(id));
      return { job: { ...withNews(job), decisions: await decisions.of(id) } };
    },
    killJob: async ({ job, signal }) => {
      requireJob(caller, 'killJob', jobs.get(job));
      await killJob(context, job, signal || SIGTERM, caller.uid);
      return {};
    },
    listNodes: async () => ({
      nodes: fleet.nodes().map((node) => ({ ...node, drain: drains.find(node.name) })),
    }),
    listCheckpoints: async ({ job }) => {
      const summaries = await catalog.list(job);
      return { checkpoints: summaries.filter(({ uid }) => mayAct(caller, 'listCheckpoints', uid)) };
    },
    getCheckpoint: ({ ckptId }) => getCheckpoint(context, caller, ckptId),
    checkpoint: async (request) => ({ operation: await requestCheckpoint(context, caller, request) }),
    restart: async (request) => ({ operation: await requestRestart(context, caller, request) }),
    changeDeadline: async ({ job, deadlineMs }) => {
      requireJob(caller, 'changeDeadline', jobs.get(job));
      await changeDeadline(context, job, deadlineMs);
      return {};
    },
    getOperation: async ({ operation: id }) => {
      const { operation } = await operations.get(id);
      requireJob(caller, 'getOperation', jobs.get(operation.job));
      return { operation };
    },
    watch: (call) => watch(context, caller, call),
    rebuildCatalog: () => rebuildCatalog(context),
    drain: async (request) => ({ operations: await drainNode(context, request) }),
    undrain: async ({ node }) => {
      await undrainNode(context, node);
      return {};
    },
    reportSlurmJobs: async ({ records }) => {
      await context.slurm.put(ofNode(records, caller.node));
      return {};
    },
    listSlurmJobs: async () => ({
      records: context.slurm.all().filter(({ uid }) => mayAct(caller, 'listSlurmJobs', uid)),
    }),
    listSlurmTasks: ({ selection }) => listSlurmTasks(context, caller, selection),
    export: (call) => exportCheckpoint(context, caller, call),
    explainRetention: ({ job }) => explainRetention(context, caller, job),
    setRetention: (request) => setRetention(context, caller, request),
    pinCheckpoint: async (request) => ({ summary: await pinCheckpoint(context, caller, request) }),
    collectGarbage: async (request) => ({ jobs: await collectGarbage(context, caller, request) }),
    getUsage: () => usageFor(context, caller),
    removeCheckpoint: async ({ ckptId }) => {
      await removeCheckpoint(context, caller, ckptId);
      return {};
    },
    import: (call) => importCheckpoint(context, caller, call),
  };
}

async function getCheckpoint(
  { catalog }: Context,
  caller: Caller,
  ckptId: number,
): Promise<GetCheckpointResponse> {
  const summary = requireCheckpoint(caller, 'getCheckpoint', await catalog.get(ckptId));
  const manifest = await catalog.manifest(summary.job, summary.generation);
  return { summary, manifest: manifestFor(caller, manifest) };
}
