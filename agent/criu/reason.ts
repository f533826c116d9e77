/** CRIU's own reason for a failure, out of its log. */
import { existsSync, readFileSync } from 'node:fs';

const HARMLESS = [/RLIMIT_NOFILE/, /Could not process rule/, /kdat cache/];
const LINES_AT_MOST = 3;

/** The first errors of a log text: the later ones are consequences. */
export function reasonInLog(log: string): string {
  const errors = log
    .split('\n')
    .filter((line) => /Error \(/.test(line) && !HARMLESS.some((pattern) => pattern.test(line)))
    .map((line) => line.replace(/^\([0-9.]+\)\s*/, '').replace(/^.*?Error \([^)]*\):?\s*/, ''));
  return errors.slice(0, LINES_AT_MOST).join('; ') || 'no reason in its log';
}

export function criuReason(logPath: string): string {
  if (!existsSync(logPath)) return 'it wrote no log';
  return reasonInLog(readFileSync(logPath, 'latin1'));
}
