/** All benchmarks. */
import type { Bench } from './bench';
import { budget } from './budget';
import { coordinator } from './coordinator';
import { increment } from './increment';
import { overhead } from './overhead';
import { restart } from './restart';
import { stall } from './stall';
import { throughput } from './throughput';

export const BENCHES: readonly Bench[] = [
  stall,
  increment,
  throughput,
  restart,
  overhead,
  budget,
  coordinator,
];
