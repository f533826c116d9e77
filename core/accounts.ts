/** Whom a job's use is put down to besides its user: a project, or what a batch system calls an account. Pure. */

/** As Slurm allows them, and no longer than it shows. */
const ACCOUNT = /^[A-Za-z0-9_][A-Za-z0-9_.@+-]{0,63}$/;

export function isAccount(text: string): boolean {
  return ACCOUNT.test(text);
}

/** What a site lets an account store. */
export interface AccountQuota {
  /** Or ANY_ACCOUNT. */
  readonly account: string;
  readonly bytes: number;
}

/** In a quota: each account that has none of its own. */
export const ANY_ACCOUNT = '*';
