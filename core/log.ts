/** One structured line per event, on stderr: stdout belongs to command output. */
import pino, { type Logger } from 'pino';

export type { Logger } from 'pino';

/**
 * @param part  which part of Holdfast speaks: coordinator, agent, cli
 * @param level pino's level names; default from HOLDFAST_LOG, else info
 */
export function openLog(part: string, level = process.env.HOLDFAST_LOG ?? 'info'): Logger {
  return pino({ name: part, level, base: { part } }, pino.destination({ fd: 2, sync: true }));
}
