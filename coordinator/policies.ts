/** What a site may change while the coordinator runs. Who decides by it asks for it at that moment. */
import type { CoordinatorOptions } from './options';

export type Policies = Pick<CoordinatorOptions, 'restartWaitMs'>;

export function policiesOf({ restartWaitMs }: CoordinatorOptions): Policies {
  return { restartWaitMs };
}
