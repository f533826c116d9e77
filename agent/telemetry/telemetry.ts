/** Everything by which the agent is watched from outside. */
import { type Counter, Registry } from 'prom-client';
import { certificateMetric } from '../../core/telemetry/certificate';
import { Meters } from '../../core/telemetry/meters';
import { serveTelemetry, type TelemetryServer } from '../../core/telemetry/server';
import type { Tracing } from '../../core/telemetry/tracing';
import type { LiveCertificates } from '../../core/tls/live';
import { storeMetrics } from '../../store/metrics';
import type { StoreObserver } from '../../store/observed';
import { storeSpans } from '../../store/spans';
import type { AgentContext } from '../context';
import { type Execute, logged, traced } from './execute';
import { measured, observeAgent } from './metrics';

export class Telemetry {
  readonly #meters = new Meters(new Registry());
  readonly #leaseLosses: Counter;
  #server: TelemetryServer | null = null;
  #certificates: LiveCertificates | null = null;
  /** For the store, which is there first. */
  readonly storeObservers: readonly StoreObserver[];

  constructor(
    private readonly node: string,
    private readonly tracing: Tracing,
  ) {
    certificateMetric(this.#meters, () => this.#certificates);
    this.storeObservers = [storeMetrics(this.#meters), storeSpans(tracing.tracer)];
    this.#leaseLosses = this.#meters.counter(
      'holdfast_agent_lease_losses_total',
      'How often the lease of this node ended.',
    );
  }

  /** Around the execution of every command. */
  around(execute: Execute): Execute {
    return traced(this.tracing.tracer, this.node, measured(this.#meters, logged(execute)));
  }

  leaseLost(): void {
    this.#leaseLosses.inc();
  }

  certificate(live: LiveCertificates | null): void {
    this.#certificates = live;
  }

  /** @param address [HOST:]PORT; undefined: nothing is served. @throws HoldfastError WRONG_STATE */
  async watch(context: AgentContext, address: string | undefined): Promise<void> {
    observeAgent(context, this.#meters);
    if (address === undefined) return;
    // Without a lease it may freeze nothing, and the coordinator counts the node as lost.
    const unready = () =>
      context.lease.remainingMs() > 0 ? [] : ['no lease: the coordinator does not answer'];
    this.#server = await serveTelemetry(address, { registry: this.#meters.registry, unready });
  }

  get address(): string | undefined {
    return this.#server?.address;
  }

  async close(): Promise<void> {
    await this.#server?.close();
    await this.tracing.close();
  }
}
