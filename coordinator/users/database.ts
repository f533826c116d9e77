/** The users that the coordinator's machine knows, by the name service (files, LDAP, SSSD). */
import { HoldfastError } from '../../core/errors';
import { runTool } from '../../core/program';

export interface UserEntry {
  readonly name: string;
  /** All of the user's groups, by number and by name. */
  readonly groups: readonly string[];
}

export interface UserDatabase {
  /** null: nobody has this uid here. @throws HoldfastError when the name service does not answer */
  find(uid: number): Promise<UserEntry | null>;
}

const TIMEOUT_MS = 5_000;
/** Of getent(1). */
const NOT_FOUND = 2;

/** A user's groups are asked for, never the members of a group: directories do not list those. */
export const systemUsers: UserDatabase = {
  async find(uid) {
    const found = await runTool('getent', ['passwd', String(uid)], '', TIMEOUT_MS);
    if (found.code === NOT_FOUND) return null;
    const [name = ''] = mustHaveWorked('getent', found).split(':');
    const lists = ['-Gz', '-Gnz'].map(async (option) =>
      mustHaveWorked('id', await runTool('id', [option, '--', name], '', TIMEOUT_MS)).split('\0'),
    );
    const groups = (await Promise.all(lists)).flat();
    return { name, groups: groups.filter((group) => group !== '') };
  },
};

/**
 * Those that nobody here is called: a name with a slip gives no role to anybody, in silence.
 * @param entries of the settings `admins` and `operators`
 */
export async function unknownNames(entries: readonly string[]): Promise<string[]> {
  const unknown = entries.map(async (entry) => {
    const group = /^group:(.*)$/.exec(entry)?.[1];
    const query = group === undefined ? ['passwd', entry] : ['group', group];
    const { code } = await runTool('getent', query, '', TIMEOUT_MS);
    return code === NOT_FOUND ? [entry] : [];
  });
  return (await Promise.all(unknown)).flat();
}

function mustHaveWorked(program: string, result: { code: number; stdout: string; stderr: string }): string {
  if (result.code === 0) return result.stdout;
  throw new HoldfastError('INTERNAL', `${program} failed (${result.code}): ${result.stderr.trim()}`);
}
