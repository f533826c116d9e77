import { type Operation, OperationKind } from '../../proto/gen/holdfast/v1/coordinator';

/** As labels and spans call it. */
export function kindOf({ kind }: Operation): 'checkpoint' | 'restart' {
  return kind === OperationKind.RESTART ? 'restart' : 'checkpoint';
}
