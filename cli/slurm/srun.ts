/** What a command line of srun is to start, to say how to start it instead. Pure. */

export interface SrunWords {
  /** As it was written; null: not said. */
  readonly tasks: string | null;
  readonly isMpi: boolean;
  /** The program with its arguments. */
  readonly command: readonly string[];
}

/** Short options that have their value in the next word. */
const WITH_VALUE = /^-[AabCcDdeGiJLMmNnopqrSTtWwx]$/;
/** Long options without one; of the others it stands in the next word, unless behind "=". */
const LONG_FLAGS =
  /^--(contiguous|disable-status|exact|exclusive|export|hold|immediate|interactive|kill-on-bad-exit|label|multi-prog|no-allocate|no-kill|oom-kill-step|overcommit|overlap|oversubscribe|preserve-env|propagate|pty|quiet|quit-on-interrupt|reboot|resv-ports|spread-job|unbuffered|use-min-nodes|verbose|whole)$/;

/** @param argv with srun itself */
export function parseSrun(argv: readonly string[]): SrunWords {
  let tasks: string | null = null;
  let isMpi = false;
  let at = 1;
  for (; at < argv.length; at++) {
    const word = argv[at] ?? '';
    if (!word.startsWith('-')) break;
    const [name = '', value] = word.startsWith('--')
      ? divided(word)
      : [word.slice(0, 2), word.slice(2) || undefined];
    const isApart =
      value === undefined && (word.startsWith('--') ? !LONG_FLAGS.test(name) : WITH_VALUE.test(name));
    if (isApart) at++;
    const said = isApart ? argv[at] : value;
    if (name === '-n' || name === '--ntasks') tasks = said ?? null;
    if (name === '--mpi') isMpi = said !== 'none';
  }
  return { tasks, isMpi, command: argv.slice(at) };
}

function divided(word: string): [string, string | undefined] {
  const at = word.indexOf('=');
  return at < 0 ? [word, undefined] : [word.slice(0, at), word.slice(at + 1)];
}
