/** Samples of figures, gathered by case in any order; out come rows of medians. Pure. */
import type { Row } from './result';
import { rounded, spread } from './statistics';

type Case = Readonly<Record<string, string | number>>;
type Figures = Readonly<Record<string, number>>;

interface Gathered {
  readonly subject: Case;
  readonly figures: Map<string, number[]>;
}

export class Samples {
  private readonly cases = new Map<string, Gathered>();

  add(subject: Case, figures: Figures): void {
    const key = keyOf(subject);
    const gathered = this.cases.get(key) ?? { subject, figures: new Map<string, number[]>() };
    this.cases.set(key, gathered);
    for (const [name, value] of Object.entries(figures)) {
      gathered.figures.set(name, [...(gathered.figures.get(name) ?? []), value]);
    }
  }

  median(subject: Case, figure: string): number | undefined {
    const samples = this.cases.get(keyOf(subject))?.figures.get(figure);
    return samples && spread(samples).median;
  }

  /** Every figure's median; of the first one least, most and all samples as well. */
  rows(): Row[] {
    return [...this.cases.values()].map(({ subject, figures }) => {
      const row: Record<string, string | number | readonly number[]> = { ...subject };
      for (const [index, [name, samples]] of [...figures].entries()) {
        const { median, least, most } = spread(samples);
        row[name] = rounded(median);
        if (index > 0) continue;
        row[`${name}_least`] = rounded(least);
        row[`${name}_most`] = rounded(most);
        row[`${name}_samples`] = samples.map((sample) => rounded(sample, 4));
      }
      return row;
    });
  }
}

const keyOf = (subject: Case): string =>
  JSON.stringify(Object.entries(subject).sort(([a], [b]) => a.localeCompare(b)));
