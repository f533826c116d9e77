/** Which role a uid has: by the coordinator's settings, and by what the name service says of it. */
import type { Logger } from '../../core/log';
import type { Role } from '../api/authorize';
import type { Clock } from '../clock';
import type { Policies } from '../policies';
import { type UserDatabase, type UserEntry, unknownNames } from './database';

const ROOT = 0;
/** A user who leaves a group keeps its role for so long. */
const KNOWN_MS = 60_000;
const MAX_KNOWN = 10_000;

export type RoleLists = Pick<Policies, 'operators' | 'admins'>;

/** An entry is a uid, a user's name, or `group:` and the name or number of a group. Pure. */
export function roleOf(uid: number, user: UserEntry | null, { operators, admins }: RoleLists): Role {
  if (uid === ROOT) return 'admin';
  const names = new Set([String(uid), ...(user === null ? [] : [user.name])]);
  for (const group of user?.groups ?? []) names.add(`group:${group}`);
  const isIn = (list: readonly string[]) => list.some((entry) => names.has(entry));
  if (isIn(admins)) return 'admin';
  return isIn(operators) ? 'operator' : 'user';
}

interface Known {
  readonly user: Promise<UserEntry | null>;
  readonly untilMs: number;
}

export class Roles {
  readonly #known = new Map<number, Known>();

  constructor(
    private readonly lists: () => RoleLists,
    private readonly users: UserDatabase,
    private readonly clock: Clock,
    private readonly log: Logger,
  ) {}

  /** Who cannot be looked up has the role that is given by number, or none. */
  async of(uid: number): Promise<Role> {
    const lists = this.lists();
    const needsName = [...lists.operators, ...lists.admins].some((entry) => !/^[0-9]+$/.test(entry));
    return roleOf(uid, needsName && uid !== ROOT ? await this.user(uid) : null, lists);
  }

  /** Never rejects. */
  async warnOfUnknown(): Promise<void> {
    const { operators, admins } = this.lists();
    try {
      const names = [...operators, ...admins].filter((entry) => !/^[0-9]+$/.test(entry));
      const unknown = await unknownNames([...new Set(names)]);
      if (unknown.length > 0) this.log.warn({ unknown }, 'admins or operators that nobody here is called');
    } catch (err) {
      this.log.warn({ err }, 'admins and operators could not be looked up');
    }
  }

  /** null: unknown here, or the name service does not answer. */
  user(uid: number): Promise<UserEntry | null> {
    const nowMs = this.clock.monotonicMs();
    const known = this.#known.get(uid);
    if (known !== undefined && known.untilMs > nowMs) return known.user;
    if (this.#known.size >= MAX_KNOWN) this.#known.clear();
    const user = this.users.find(uid).catch((err) => {
      this.log.warn({ uid, err }, 'user not looked up: only roles that are given by number count');
      return null;
    });
    this.#known.set(uid, { user, untilMs: nowMs + KNOWN_MS });
    return user;
  }
}
