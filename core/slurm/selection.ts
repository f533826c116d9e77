/** How users name jobs of Slurm's: "12", "12_3" for one task of an array, "12+1" for one component of a heterogeneous job. Pure. */
import type { SlurmSelection } from '../../proto/gen/holdfast/v1/agent';
import { HoldfastError } from '../errors';

const NAME = /^([1-9][0-9]{0,9})(?:_(0|[1-9][0-9]{0,9})|\+(0|[1-9][0-9]{0,9}))?$/;

/** @throws HoldfastError INVALID_ARGUMENT */
export function parseSelection(text: string): SlurmSelection {
  const [found, job, arrayTask, component] = NAME.exec(text) ?? [];
  if (found === undefined) {
    throw new HoldfastError(
      'INVALID_ARGUMENT',
      `${JSON.stringify(text)} names no Slurm job`,
      'write 12, 12_3 for one task of an array, or 12+1 for one component of a heterogeneous job',
    );
  }
  return {
    jobId: Number(job),
    arrayTask: arrayTask === undefined ? undefined : Number(arrayTask),
    hetComponent: component === undefined ? undefined : Number(component),
  };
}

/** A job as Slurm tells it to a task. */
export interface SlurmIdentity {
  readonly jobId: number;
  readonly array?: { readonly jobId: number; readonly task: number };
  readonly het?: { readonly jobId: number; readonly component: number };
}

/** The name that users know it by. */
export function nameOf({ jobId, array, het }: SlurmIdentity): string {
  if (array !== undefined) return `${array.jobId}_${array.task}`;
  if (het !== undefined) return `${het.jobId}+${het.component}`;
  return String(jobId);
}

/** Of an array or a heterogeneous job the number alone means all of it, and a part's own number that part. */
export function isSelected(
  { jobId, arrayTask, hetComponent }: SlurmSelection,
  { array, het, jobId: own }: SlurmIdentity,
): boolean {
  if (arrayTask !== undefined) return array?.jobId === jobId && array.task === arrayTask;
  if (hetComponent !== undefined) return het?.jobId === jobId && het.component === hetComponent;
  return own === jobId || array?.jobId === jobId || het?.jobId === jobId;
}
