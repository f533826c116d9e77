/** CoordinatorService for one caller: who may, then what. */
import { HoldfastError } from '../../core/errors';
import { unary } from '../../core/rpc/handlers';
import type { Identity } from '../../core/rpc/identity';
import type { CoordinatorServiceServer, Job } from '../../proto/gen/holdfast/v1/coordinator';
import { rebuildCatalog } from '../catalog/rebuild';
import type { Context } from '../context';
import { drainNode, undrainNode } from '../drain/drain';
import { killJob } from '../jobs/kill';
import { submitJob, trackProcess } from '../jobs/launch';
import { launchMember } from '../jobs/members';
import { checkSpec } from '../jobs/spec';
import { changeDeadline } from '../schedule/deadline';
import { ofNode } from '../slurm/records';
import { submitSlurmJob } from '../slurm/submit';
import { isEnded } from '../state/jobs';
import { maySee, ownerOf, requireOwnCheckpoint, requireOwnJob, requireRoot } from './authorize';
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

export function coordinatorService(context: Context, identity: Identity): CoordinatorServiceServer {
  const { catalog, clock, decisions, drains, fleet, jobs, operations, schedules, slurm } = context;
  const withNews = (job: Job): Job => ({
    ...job,
    filling: fleet.fillingOf(job.id, job.incarnation),
    schedule: schedules.find(job.id)?.next ?? undefined,
  });
  return {
    submitJob: unary(async ({ spec: asked, resume }) => {
      const spec = checkSpec(asked, identity, clock.wallMs());
      const { slurm } = spec;
      if (slurm !== undefined) return submitSlurmJob(context, identity, { ...spec, slurm }, resume);
      if (resume !== '') throw new HoldfastError('INVALID_ARGUMENT', 'resume is for Slurm jobs only');
      return { job: await submitJob(context, identity, spec), operation: '', completedEarlier: false };
    }),
    trackProcess: unary(async (request) => ({ job: await trackProcess(context, identity, request) })),
    launchMember: unary(async (request) => {
      requireOwnJob(identity, jobs.get(request.job));
      return { exitCode: await launchMember(context, request) };
    }),
    listJobs: unary(async ({ all }) => {
      const visible = jobs.all().filter((job) => maySee(identity, ownerOf(job)) && (all || !isEnded(job)));
      const untracked = slurm.untracked().filter(({ uid }) => maySee(identity, uid));
      return { jobs: visible.sort((a, b) => (a.id < b.id ? -1 : 1)).map(withNews), untracked };
    }),
    getJob: unary(async ({ job: id }) => {
      const job = requireOwnJob(identity, jobs.get(id));
      return { job: { ...withNews(job), decisions: await decisions.of(id) } };
    }),
    killJob: unary(async ({ job, signal }) => {
      requireOwnJob(identity, jobs.get(job));
      await killJob(context, job, signal || SIGTERM, identity.uid);
      return {};
    }),
    listNodes: unary(async () => ({
      nodes: fleet.nodes().map((node) => ({ ...node, drain: drains.find(node.name) })),
    })),
    listCheckpoints: unary(async ({ job }) => {
      const summaries = await catalog.list(job);
      return { checkpoints: summaries.filter(({ uid }) => maySee(identity, uid)) };
    }),
    getCheckpoint: unary(async ({ ckptId }) => {
      const summary = requireOwnCheckpoint(identity, await catalog.get(ckptId));
      return { summary, manifest: await catalog.manifest(summary.job, summary.generation) };
    }),
    checkpoint: unary(async (request) => ({
      operation: await requestCheckpoint(context, identity, request),
    })),
    restart: unary(async (request) => ({ operation: await requestRestart(context, identity, request) })),
    changeDeadline: unary(async ({ job, deadlineMs }) => {
      requireOwnJob(identity, jobs.get(job));
      await changeDeadline(context, job, deadlineMs);
      return {};
    }),
    getOperation: unary(async ({ operation: id }) => {
      const { operation } = await operations.get(id);
      requireOwnJob(identity, jobs.get(operation.job));
      return { operation };
    }),
    watch: (call) => watch(context, identity, call),
    rebuildCatalog: unary(async () => {
      requireRoot(identity, 'rebuild the catalog');
      return rebuildCatalog(context);
    }),
    drain: unary(async (request) => {
      requireRoot(identity, 'drain a node');
      return { operations: await drainNode(context, request) };
    }),
    undrain: unary(async ({ node }) => {
      requireRoot(identity, 'undrain a node');
      await undrainNode(context, node);
      return {};
    }),
    reportSlurmJobs: unary(async ({ records }) => {
      requireRoot(identity, 'report Slurm jobs');
      await slurm.put(ofNode(records, identity.node));
      return {};
    }),
    listSlurmJobs: unary(async () => ({ records: slurm.all().filter(({ uid }) => maySee(identity, uid)) })),
    export: (call) => exportCheckpoint(context, identity, call),
    explainRetention: unary(({ job }) => explainRetention(context, identity, job)),
    setRetention: unary((request) => setRetention(context, identity, request)),
    pinCheckpoint: unary(async (request) => ({ summary: await pinCheckpoint(context, identity, request) })),
    collectGarbage: unary(async (request) => ({ jobs: await collectGarbage(context, identity, request) })),
    getUsage: unary(() => usageFor(context, identity)),
    removeCheckpoint: unary(async ({ ckptId }) => {
      await removeCheckpoint(context, identity, ckptId);
      return {};
    }),
    import: (call, callback) => importCheckpoint(context, identity, call, callback),
  };
}
