/**
 * What a call is about, for the audit log. Only what is named here gets into it: no environment, no arguments of a
 * command, no contents. Pure.
 */
import type { Call, Request, Response } from '../api/handlers';

type Fields = Readonly<Record<string, unknown>>;

export interface Audited<C extends Call> {
  /** It changes something, or hands out what is stored: it is told also when it was allowed. */
  readonly isAlways: boolean;
  readonly of: (request: Request<C>) => Fields;
  readonly result?: (response: Response<C>) => Fields;
}

const nothing = (): Fields => ({});

export const AUDITED: { readonly [C in Call]: Audited<C> } = {
  submitJob: {
    isAlways: true,
    of: ({ spec, resume }) => ({ name: spec?.name, nodes: spec?.nodes, asUid: spec?.uid, resume }),
    result: ({ job, operation }) => ({ job: job?.id, asUid: job?.spec?.uid, operation }),
  },
  trackProcess: {
    isAlways: true,
    of: ({ node, pid }) => ({ targetNode: node, pid }),
    result: ({ job }) => ({ job: job?.id }),
  },
  launchMember: { isAlways: true, of: ({ job, host }) => ({ job, host }) },
  listJobs: { isAlways: false, of: nothing },
  getJob: { isAlways: false, of: ({ job }) => ({ job }) },
  killJob: { isAlways: true, of: ({ job, signal }) => ({ job, signal }) },
  listNodes: { isAlways: false, of: nothing },
  listCheckpoints: { isAlways: false, of: ({ job }) => ({ job }) },
  getCheckpoint: { isAlways: false, of: ({ ckptId }) => ({ ckptId }) },
  checkpoint: {
    isAlways: true,
    of: ({ job, stop, now, live, cause }) => ({ job, stop, now, live, cause }),
    result: ({ operation }) => ({ operation }),
  },
  restart: {
    isAlways: true,
    of: ({ source, nodes, lazy }) => ({
      ...(source === undefined ? {} : { [source.$case]: source.value }),
      ...{ nodes, lazy },
    }),
    result: ({ operation }) => ({ operation }),
  },
  changeDeadline: { isAlways: true, of: ({ job, deadlineMs }) => ({ job, deadlineMs }) },
  getOperation: { isAlways: false, of: ({ operation }) => ({ operation }) },
  watch: {
    isAlways: false,
    of: ({ subject }) => (subject === undefined ? {} : { [subject.$case]: subject.value }),
  },
  rebuildCatalog: { isAlways: true, of: nothing },
  export: { isAlways: true, of: ({ ckptId }) => ({ ckptId }) },
  import: {
    isAlways: true,
    of: nothing,
    result: ({ summary, exportedJob, sealed }) => ({
      ...{ job: summary?.job, ckptId: summary?.ckptId, exportedJob, sealed },
    }),
  },
  explainRetention: { isAlways: false, of: ({ job }) => ({ job }) },
  setRetention: { isAlways: true, of: ({ job, policy }) => ({ job, policy: policy ?? 'default' }) },
  pinCheckpoint: { isAlways: true, of: ({ ckptId, pinned }) => ({ ckptId, pinned }) },
  collectGarbage: { isAlways: true, of: ({ job, dryRun }) => ({ job: job || 'all', dryRun }) },
  getUsage: { isAlways: false, of: nothing },
  removeCheckpoint: { isAlways: true, of: ({ ckptId }) => ({ ckptId }) },
  drain: {
    isAlways: true,
    of: ({ node, reason, restart }) => ({ targetNode: node, reason, restart }),
    result: ({ operations }) => ({ operations }),
  },
  undrain: { isAlways: true, of: ({ node }) => ({ targetNode: node }) },
  reportSlurmJobs: { isAlways: false, of: ({ records }) => ({ count: records.length }) },
  listSlurmJobs: { isAlways: false, of: nothing },
  listSlurmTasks: { isAlways: false, of: ({ selection }) => ({ slurmJob: selection?.jobId }) },
};
