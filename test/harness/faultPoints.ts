import { FAULT_POINTS, type FaultPoint } from '../../core/faults';

/** Of one part of the coordinator: 'checkpoint', 'restart', 'gc'. */
export const coordinatorPoints = (part: string): readonly FaultPoint[] =>
  FAULT_POINTS.filter((point) => point.startsWith(`coordinator.${part}.`));
