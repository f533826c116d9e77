/** Everything by which the coordinator is watched from outside. */

import type { Redis } from 'ioredis';
import { Registry } from 'prom-client';
import { certificateMetric } from '../../core/telemetry/certificate';
import { Meters } from '../../core/telemetry/meters';
import { serveTelemetry, type TelemetryServer } from '../../core/telemetry/server';
import type { Tracing } from '../../core/telemetry/tracing';
import type { LiveCertificates } from '../../core/tls/live';
import { storeMetrics } from '../../store/metrics';
import type { StoreObserver } from '../../store/observed';
import { storeSpans } from '../../store/spans';
import type { Context } from '../context';
import { connectMetrics } from './metrics';
import { connectSpans } from './spans';

/** A cluster says the second. */
const CONNECTED: ReadonlySet<string> = new Set(['ready', 'connect']);

export interface RoleOf {
  readonly leads: () => boolean;
  /** HOST:PORT; empty: none leads. */
  readonly leader: () => string;
  /** 0: it does not lead. */
  readonly term: () => number;
}

function observeRole({ leads, term }: RoleOf, meters: Meters): void {
  const help = '1: this coordinator leads; 0: it stands by.';
  meters.gauge('holdfast_coordinator_leader', help, () => Number(leads()));
  meters.gauge(
    'holdfast_coordinator_term',
    'The term of this coordinator, which grows with each change of the leader; 0: it stands by.',
    term,
  );
}

export class Telemetry {
  readonly #meters = new Meters(new Registry());
  #server: TelemetryServer | null = null;
  #certificates: LiveCertificates | null = null;
  #isReady = false;
  /** For the store, which is there first. */
  readonly storeObservers: readonly StoreObserver[];

  constructor(private readonly tracing: Tracing) {
    certificateMetric(this.#meters, () => this.#certificates);
    this.storeObservers = [storeMetrics(this.#meters), storeSpans(tracing.tracer)];
  }

  certificate(live: LiveCertificates | null): void {
    this.#certificates = live;
  }

  /** @param address [HOST:]PORT; undefined: nothing is served. @throws HoldfastError WRONG_STATE */
  async serve(role: RoleOf, redis: Redis, address: string | undefined): Promise<void> {
    observeRole(role, this.#meters);
    if (address === undefined) return;
    const unready = () => this.#unready(redis);
    const readiness = () => (role.leads() ? 'ready' : `ready: stands by, ${role.leader() || 'none'} leads`);
    this.#server = await serveTelemetry(address, { registry: this.#meters.registry, unready, readiness });
  }

  /** What is done while this coordinator leads. The result ends it: nothing of it is told any more. */
  watch(context: Context): () => void {
    const before = new Set(this.#names());
    const stops = [connectMetrics(context, this.#meters), connectSpans(context, this.tracing.tracer)];
    return () => {
      for (const stop of stops) stop();
      for (const name of this.#names()) if (!before.has(name)) this.#meters.registry.removeSingleMetric(name);
    };
  }

  #names(): string[] {
    return this.#meters.registry.getMetricsAsArray().map(({ name }) => name);
  }

  get address(): string | undefined {
    return this.#server?.address;
  }

  /** From now on it serves, or not any more. */
  setReady(isReady: boolean): void {
    this.#isReady = isReady;
  }

  #unready(redis: Redis): string[] {
    const reasons = this.#isReady ? [] : ['starting or stopping'];
    // Without it no operation begins; those at work abort.
    if (!CONNECTED.has(redis.status)) reasons.push(`redis is ${redis.status}`);
    return reasons;
  }

  async close(): Promise<void> {
    await this.#server?.close();
    await this.tracing.close();
  }
}
