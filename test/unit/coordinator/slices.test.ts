import { setImmediate } from 'node:timers/promises';
import { inSlices } from '../../../coordinator/operations/slices';

describe('slices', () => {
  it('acts on every item in order', async () => {
    const seen: number[] = [];
    await inSlices(
      [1, 2, 3, 4, 5],
      2,
      () => true,
      (item) => seen.push(item),
    );
    expect(seen).toEqual([1, 2, 3, 4, 5]);
  });

  it('gives others their turn between slices', async () => {
    const seen: string[] = [];
    const slices = inSlices(
      ['a', 'b', 'c'],
      1,
      () => true,
      (item) => seen.push(item),
    );
    expect(seen).toEqual(['a']);
    void setImmediate().then(() => seen.push('other'));
    await slices;
    expect(seen.indexOf('other')).toBeLessThan(seen.indexOf('c'));
  });

  it('leaves out the rest when it is not wanted any more', async () => {
    const seen: number[] = [];
    await inSlices(
      [1, 2, 3, 4],
      2,
      () => seen.length < 2,
      (item) => seen.push(item),
    );
    expect(seen).toEqual([1, 2]);
  });
});
