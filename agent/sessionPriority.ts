/**
 * Where the kernel shares processors by session (sched(7), "The autogroup feature"), the niceness of a thread counts within its
 * session only, and a job is in another one. So the agent's session as a whole gives way to jobs, except while one waits for it.
 */
import { writeFileSync } from 'node:fs';
import { processStat } from './proc/stat';

/** Writes the niceness of this process's session. */
export type WriteNice = (nice: number) => void;

export class SessionPriority {
  private waiting = 0;

  constructor(
    private readonly nice: number,
    private readonly write: WriteNice = writeAutogroup,
  ) {
    write(nice);
  }

  /** A job waits for this. */
  async urgent<T>(work: () => Promise<T>): Promise<T> {
    this.waiting += 1;
    if (this.waiting === 1) this.write(0);
    try {
      return await work();
    } finally {
      this.waiting -= 1;
      if (this.waiting === 0) this.write(this.nice);
    }
  }
}

/** Does nothing on a kernel without autogroups, and in a session that is somebody else's, such as a terminal's. */
function writeAutogroup(nice: number): void {
  if (processStat(process.pid)?.sessionId !== process.pid) return;
  try {
    writeFileSync('/proc/self/autogroup', String(nice));
  } catch {
    // The threads' own niceness is all there is.
  }
}
