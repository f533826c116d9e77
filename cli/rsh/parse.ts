/** Reads a command line made for ssh or rsh: options, host, command. */

import { userInfo } from 'node:os';
import { HoldfastError } from '../../core/errors';

export interface RemoteCommand {
  readonly host: string;
  /** Joined by spaces, for a shell: as ssh passes it. */
  readonly command: string;
}

/** Of ssh(1): flags that stand alone, and those whose next word (or rest of the word) is their value. */
const FLAGS = new Set('46AaCfGgKkMNnqsTtVvXxYy');
const WITH_VALUE = new Set('BbcDEeFIiJLlmOoPpQRSWw');

const USAGE = 'call it as `holdfast rsh HOST COMMAND…`; launchers do so when they are told to use it for ssh';

function requireSameUser(user: string, ownName: string): void {
  if (user === ownName) return;
  throw new HoldfastError(
    'PERMISSION_DENIED',
    `a member of the job cannot run as ${user}: the job belongs to ${ownName}`,
    'leave the user out of the host list',
  );
}

/** The value of an option that takes one, and how many words were used. */
function readValue(words: readonly string[], index: number, attached: string): [string, number] {
  if (attached !== '') return [attached, 1];
  const value = words[index + 1];
  if (value === undefined) {
    throw new HoldfastError('INVALID_ARGUMENT', `option ${words[index]} has no value`, USAGE);
  }
  return [value, 2];
}

/** The users named by -l, and where the host stands. */
function skipOptions(words: readonly string[]): { users: string[]; hostIndex: number } {
  const users: string[] = [];
  let index = 0;
  for (let word = words[index]; word !== undefined && /^-./.test(word); word = words[index]) {
    if (word === '--') return { users, hostIndex: index + 1 };
    let position = 1;
    while (FLAGS.has(word.charAt(position)) && position < word.length) position += 1;
    const letter = word.charAt(position);
    if (letter === '') {
      index += 1;
    } else if (WITH_VALUE.has(letter)) {
      const [value, used] = readValue(words, index, word.slice(position + 1));
      if (letter === 'l') users.push(value);
      index += used;
    } else {
      throw new HoldfastError('INVALID_ARGUMENT', `unknown option ${word}`, USAGE);
    }
  }
  return { users, hostIndex: index };
}

/**
 * @throws INVALID_ARGUMENT without a host or command, PERMISSION_DENIED for another user
 */
export function parseRemoteCommand(
  words: readonly string[],
  ownName = () => userInfo().username,
): RemoteCommand {
  const { users, hostIndex } = skipOptions(words);
  const target = words[hostIndex] ?? '';
  const command = words.slice(hostIndex + 1);
  const at = target.lastIndexOf('@');
  if (at !== -1) users.push(target.slice(0, at));
  for (const user of users) requireSameUser(user, ownName());
  const host = target.slice(at + 1);
  if (host === '') throw new HoldfastError('INVALID_ARGUMENT', 'no host was given', USAGE);
  if (command.length === 0) {
    throw new HoldfastError('INVALID_ARGUMENT', `no command was given for ${host}`, USAGE);
  }
  return { host, command: command.join(' ') };
}
