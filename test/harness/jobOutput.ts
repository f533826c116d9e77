/** What a job has printed itself. */
import { readText } from './stack';

/** Open MPI's launcher may lose a race against what it has started, and warn about it: that means nothing. */
const LOST_RACE = /^.*plm:rsh: Warning: setpgid\(.*\n/gm;

export const jobOutput = (path: string): string => readText(path).replace(LOST_RACE, '');
