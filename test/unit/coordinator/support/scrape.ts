/** What a monitoring system sees of a daemon. */

export interface Scraped {
  /** Names as a query writes them: with _bucket, _sum and _count. */
  readonly names: ReadonlySet<string>;
  readonly text: string;
  /** Of the one sample with these labels, and maybe others; 0 when there is none. */
  value(name: string, labels?: Record<string, string>): number;
}

export async function scrape(address: string | undefined): Promise<Scraped> {
  const response = await fetch(`http://${address}/metrics`);
  const text = await response.text();
  const samples = [...text.matchAll(/^([a-z_]+)(?:\{(.*)\})? (\S+)$/gm)].map(
    ([, name = '', labels = '', value]) => ({
      name,
      labels: new Map(
        [...labels.matchAll(/([a-z_]+)="([^"]*)"/g)].map(([, key = '', text = '']) => [key, text]),
      ),
      value: Number(value),
    }),
  );
  return {
    names: new Set([...declared(text), ...samples.map(({ name }) => name)]),
    text,
    value: (name, labels = {}) =>
      samples.find(
        (sample) =>
          sample.name === name &&
          Object.entries(labels).every(([key, wanted]) => sample.labels.get(key) === wanted),
      )?.value ?? 0,
  };
}

/** Also of those without a sample yet. */
function declared(text: string): string[] {
  return [...text.matchAll(/^# TYPE (\S+) (\S+)$/gm)].flatMap(([, name = '', type]) =>
    type === 'histogram' ? [`${name}_bucket`, `${name}_sum`, `${name}_count`] : [name],
  );
}

export async function probe(address: string | undefined, path: string): Promise<[number, string]> {
  const response = await fetch(`http://${address}${path}`);
  return [response.status, await response.text()];
}
