/**
 * Named fault points (docs/architecture.md, "Fault points"). `HOLDFAST_FAULT=NAME` ends the process there with
 * SIGKILL; `NAME:error` makes the step fail instead, and `NAME:stop` stops the process there (SIGSTOP), as if it hung.
 * Several are separated by commas.
 */
import { HoldfastError } from './errors';

export const FAULT_POINTS = [
  // agent, checkpoint
  'agent.prepare',
  'agent.prepare.round',
  'agent.capture.before-freeze',
  'agent.capture.at-gate',
  'agent.capture.pages',
  'agent.capture.done',
  'agent.release.before-gate',
  'agent.release.after-gate',
  'agent.upload.snapshots',
  'agent.upload.pack',
  'agent.upload.before-images',
  'agent.upload.done',
  // agent, restart
  'agent.stage.fence-up',
  'agent.stage.files',
  'agent.stage.done',
  'agent.restore.at-gate',
  'agent.restore.pages',
  'agent.restore.filled',
  'agent.resume.fence-down',
  'agent.resume.done',
  // agent, lazy restart: the job runs already
  'agent.lazy.pages',
  'agent.lazy.complete',
  // coordinator, checkpoint
  'coordinator.checkpoint.prepare',
  'coordinator.checkpoint.capture',
  'coordinator.checkpoint.barrier',
  'coordinator.checkpoint.released',
  'coordinator.checkpoint.uploaded',
  'coordinator.checkpoint.before-commit',
  'coordinator.checkpoint.after-commit',
  // coordinator, restart
  'coordinator.restart.plan',
  'coordinator.restart.staged',
  'coordinator.restart.barrier',
  'coordinator.restart.resumed',
  // coordinator, jobs of Slurm
  'coordinator.slurm.claimed',
  // coordinator, import
  'coordinator.import.recorded',
  'coordinator.import.stored',
  'coordinator.import.before-commit',
  'coordinator.import.after-commit',
  // coordinator, retention and garbage collection
  'coordinator.gc.planned',
  'coordinator.gc.manifest-deleted',
  'coordinator.gc.condemned',
  'coordinator.gc.object-deleted',
  // store
  'store.put',
] as const;

export type FaultPoint = (typeof FAULT_POINTS)[number];

const MODES = ['kill', 'error', 'stop'] as const;
type Mode = (typeof MODES)[number];

function armedFaults(text: string | undefined): Map<string, Mode> {
  const armed = new Map<string, Mode>();
  for (const item of (text ?? '').split(',').filter(Boolean)) {
    const [name = '', asked = 'kill'] = item.split(':');
    const mode = MODES.find((known) => known === asked);
    if (!(FAULT_POINTS as readonly string[]).includes(name) || mode === undefined) {
      throw new HoldfastError('INVALID_ARGUMENT', `HOLDFAST_FAULT names no fault point: ${item}`);
    }
    armed.set(name, mode);
  }
  return armed;
}

const armed = armedFaults(process.env.HOLDFAST_FAULT);

/** Marks a point where a crash must be harmless. Does nothing unless armed. */
export function faultPoint(name: FaultPoint): void {
  const mode = armed.get(name);
  if (mode === 'kill') process.kill(process.pid, 'SIGKILL');
  if (mode === 'stop') process.kill(process.pid, 'SIGSTOP');
  if (mode === 'error') throw new HoldfastError('INJECTED_FAULT', `fault injected at ${name}`);
}
