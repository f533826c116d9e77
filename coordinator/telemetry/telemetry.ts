/** Everything by which the coordinator is watched from outside. */
import { Registry } from 'prom-client';
import { certificateMetric } from '../../core/telemetry/certificate';
import { serveTelemetry, type TelemetryServer } from '../../core/telemetry/server';
import type { Tracing } from '../../core/telemetry/tracing';
import type { LiveCertificates } from '../../core/tls/live';
import { storeMetrics } from '../../store/metrics';
import type { StoreObserver } from '../../store/observed';
import { storeSpans } from '../../store/spans';
import type { Context } from '../context';
import { connectMetrics } from './metrics';
import { connectSpans } from './spans';

export class Telemetry {
  readonly #registry = new Registry();
  readonly #disconnect: (() => void)[] = [];
  #server: TelemetryServer | null = null;
  #certificates: LiveCertificates | null = null;
  #isReady = false;
  /** For the store, which is there first. */
  readonly storeObservers: readonly StoreObserver[];

  constructor(private readonly tracing: Tracing) {
    certificateMetric(this.#registry, () => this.#certificates);
    this.storeObservers = [storeMetrics(this.#registry), storeSpans(tracing.tracer)];
  }

  certificate(live: LiveCertificates | null): void {
    this.#certificates = live;
  }

  /** @param address [HOST:]PORT; undefined: nothing is served. @throws HoldfastError WRONG_STATE */
  async watch(context: Context, address: string | undefined): Promise<void> {
    this.#disconnect.push(
      connectMetrics(context, this.#registry),
      connectSpans(context, this.tracing.tracer),
    );
    if (address === undefined) return;
    const unready = () => this.#unready(context);
    this.#server = await serveTelemetry(address, { registry: this.#registry, unready });
  }

  get address(): string | undefined {
    return this.#server?.address;
  }

  /** From now on it serves, or not any more. */
  setReady(isReady: boolean): void {
    this.#isReady = isReady;
  }

  #unready({ redis }: Context): string[] {
    const reasons = this.#isReady ? [] : ['starting or stopping'];
    // Without it no operation begins; those at work abort.
    if (redis.status !== 'ready') reasons.push(`redis is ${redis.status}`);
    return reasons;
  }

  async close(): Promise<void> {
    for (const disconnect of this.#disconnect) disconnect();
    await this.#server?.close();
    await this.tracing.close();
  }
}
