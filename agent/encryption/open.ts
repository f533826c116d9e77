/** The key ring as the agent's options ask for it. */
import type { AgentOptions } from '../options';
import { KeyCommand } from './command';
import { KeyDirectory } from './directory';
import { KeyRing } from './keyRing';
import type { KeySource } from './source';

function sourceOf(options: AgentOptions): KeySource | null {
  if (options.encryptionKeys) return new KeyDirectory(options.encryptionKeys);
  return options.encryptionKeyCommand ? new KeyCommand(options.encryptionKeyCommand) : null;
}

/** @throws PERMISSION_DENIED when the directory of keys is not root's own */
export const openKeyRing = (options: AgentOptions): KeyRing => new KeyRing(sourceOf(options));
