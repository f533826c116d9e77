/** Metrics of one registry, each with its name and help; all there is to set up about them. */
import { Counter, Gauge, Histogram, type Registry } from 'prom-client';

type Labels<L extends string> = Readonly<Record<L, string>>;

export class Meters {
  constructor(readonly registry: Registry) {}

  counter<L extends string = never>(name: string, help: string, labelNames: L[] = []): Counter<L> {
    return new Counter({ name, help, labelNames, registers: [this.registry] });
  }

  /** @param buckets bounds in seconds (buckets.ts) */
  histogram<L extends string = never>(
    name: string,
    help: string,
    buckets: number[],
    labelNames: L[] = [],
  ): Histogram<L> {
    return new Histogram({ name, help, labelNames, buckets, registers: [this.registry] });
  }

  /** Read at each scrape. */
  gauge(name: string, help: string, read: () => number): void {
    this.gauges(name, help, [], () => [{ labels: {}, value: read() }]);
  }

  /** Read at each scrape: values with the same labels are added, and labels that are not there any more are gone. */
  gauges<L extends string>(
    name: string,
    help: string,
    labelNames: L[],
    read: () => readonly { readonly labels: Labels<L>; readonly value: number }[],
  ): void {
    new Gauge({
      ...{ name, help, labelNames },
      registers: [this.registry],
      collect() {
        this.reset();
        for (const { labels, value } of read()) this.inc(labels, value);
      },
    });
  }
}
