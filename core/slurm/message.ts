/** What Slurm's hooks tell: the agent those of a node, the coordinator those of the controller (native/programs/slurm_hook.c). Pure. */
import { z } from 'zod';
import { isCluster } from './names';

/** A whole message is smaller: the hook cuts each value. */
export const MAX_MESSAGE_BYTES = 64 * 1024;

const number = z
  .string()
  .regex(/^[0-9]{1,10}$/)
  .transform(Number);
const text = z.string().max(4096).default('');

const schema = z.object({
  event: z.enum([
    ...(['prolog', 'epilog', 'task-prolog', 'task-epilog'] as const),
    ...(['prolog-slurmctld', 'epilog-slurmctld'] as const),
  ]),
  cluster: z.string().refine(isCluster).default('cluster'),
  jobId: number.refine((id) => id > 0),
  uid: number.default(0),
  user: text,
  nodeList: text,
  restartCount: number.default(0),
  taskPid: number.default(0),
  /** Of the task in its step. */
  procId: number.default(0),
  /** Of srun's steps; Slurm gives the others none, or one of its highest numbers. */
  stepId: number.optional(),
  options: text,
  /** The task is Holdfast's own command. */
  own: text,
  /** Of a message that reached nobody when it was sent: Unix time, and why. */
  missedMs: z
    .string()
    .regex(/^[0-9]{1,15}$/)
    .transform(Number)
    .optional(),
  why: text,
});

export type HookMessage = Readonly<z.infer<typeof schema>>;

/** null for anything else: who wrote it is not trusted to write it well. */
export function parseHookMessage(line: string): HookMessage | null {
  try {
    return schema.safeParse(JSON.parse(line)).data ?? null;
  } catch {
    return null;
  }
}

const FIRST_SPECIAL_STEP = 0xffff_fff0;

/** A task of srun's, not the batch script or a shell of salloc's. */
export const isOfStep = ({ stepId }: HookMessage): boolean =>
  stepId !== undefined && stepId < FIRST_SPECIAL_STEP;

/** Events of the node itself. */
export const isOfNode = ({ event }: HookMessage): boolean => event === 'prolog' || event === 'epilog';

/** Those are the user's own. */
export const isOfTask = ({ event }: HookMessage): boolean =>
  event === 'task-prolog' || event === 'task-epilog';

/** Events of a whole job, from where slurmctld runs. */
export const isOfController = ({ event }: HookMessage): boolean => event.endsWith('-slurmctld');
