/** What happened since the last look, in one line for people. */
import { percentile } from '../bench/statistics';
import type { SimulationEvent } from './barriers';

export class Summary {
  #barriersMs: number[] = [];
  readonly #counts = new Map<SimulationEvent['event'], number>();

  add(event: SimulationEvent): void {
    this.#counts.set(event.event, (this.#counts.get(event.event) ?? 0) + 1);
    if (event.event === 'barrier') this.#barriersMs.push(event.barrierMs);
  }

  /** And begins anew; null: nothing happened. */
  take(): string | null {
    if (this.#counts.size === 0) return null;
    const count = (event: SimulationEvent['event']) => this.#counts.get(event) ?? 0;
    const ms = (part: number) => percentile(this.#barriersMs, part).toFixed(1);
    const barriers = this.#barriersMs.length === 0 ? '' : ` (median ${ms(0.5)} ms, p99 ${ms(0.99)} ms)`;
    const text =
      `${count('begun')} checkpoints begun, ${count('barrier')} barriers passed${barriers}, ` +
      `${count('aborted')} aborted, ${count('broken')} nodes released too early, ${count('leaseLost')} leases lost`;
    this.#barriersMs = [];
    this.#counts.clear();
    return text;
  }
}
