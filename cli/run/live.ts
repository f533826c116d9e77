/** `--live`: whether memory is copied while the job is held, or from a snapshot of the hold. */
import { LiveMode } from '../../proto/gen/holdfast/v1/manifest';

const MODES = { never: LiveMode.NEVER, auto: LiveMode.AUTO, always: LiveMode.ALWAYS } as const;

export type LiveChoice = keyof typeof MODES;
export const LIVE_CHOICES = Object.keys(MODES) as LiveChoice[];
export const LIVE_FLAGS = '--live <never|auto|always>';
export const LIVE_HELP =
  'copy memory after the hold, from a copy-on-write snapshot (default: auto, where it is shorter)';

export const liveMode = (choice: LiveChoice | undefined): LiveMode => MODES[choice ?? 'auto'];
