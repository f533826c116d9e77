/**
 * Seats (docs/architecture.md, "Seats"): tasks of a batch system that trees of their user may live in. A seat is there as
 * long as the connection on which it was taken, and the process at its other end.
 */
import { HoldfastError } from '../../core/errors';
import { jobIdOf, requireSeatName, slurmJob } from '../../core/slurm/names';
import { isAlive } from '../proc/stat';

/** The process whose control groups, limits and processors a tree gets. */
export interface Seat {
  readonly pid: number;
  readonly startTicks: number;
  readonly uid: number;
}

export const isTaken = ({ pid, startTicks }: Seat): boolean => isAlive(pid, startTicks);

/** Of the native programs: to live where the seat does (T2). */
export const likeSeat = (seat: Seat | null): string[] =>
  seat === null ? [] : ['--like', `${seat.pid}:${seat.startTicks}`];

export class Seats {
  private readonly taken = new Map<string, Seat[]>();

  constructor(private readonly node: string) {}

  /** The process is the one the kernel named (T1). The newest counts where a name is taken more than once. The result gives it up. */
  take(name: string, seat: Seat): () => void {
    const seats = this.taken.get(requireSeatName(name)) ?? [];
    this.taken.set(name, [...seats, seat]);
    return () => {
      const left = (this.taken.get(name) ?? []).filter((other) => other !== seat);
      if (left.length > 0) this.taken.set(name, left);
      else this.taken.delete(name);
    };
  }

  /**
   * The live seat for trees of a user (T3).
   * @throws HoldfastError NODE_UNAVAILABLE when no such task of the user is here
   */
  require(name: string, uid: number): Seat {
    const seat = (this.taken.get(requireSeatName(name)) ?? []).findLast(isTaken);
    if (seat === undefined) {
      throw new HoldfastError(
        'NODE_UNAVAILABLE',
        `no task of ${described(name)} runs on node ${this.node}`,
        'start the job with `holdfast run` or `holdfast mpirun` inside of the Slurm job, on this node',
      );
    }
    if (seat.uid === uid || seat.uid === 0) return seat;
    throw new HoldfastError(
      'PERMISSION_DENIED',
      `the task of ${described(name)} on node ${this.node} belongs to uid ${seat.uid}, the job to uid ${uid}`,
    );
  }
}

/** "Slurm job 12" */
const described = (name: string): string => slurmJob({ jobId: jobIdOf(name) });
