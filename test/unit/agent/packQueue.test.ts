/** The order in which a lazy restart fetches what nobody waits for. */
import { newestFirst, PackQueue } from '../../../agent/memory/packQueue';

function rest(queue: PackQueue): number[] {
  const order: number[] = [];
  for (let pack = queue.next(); pack !== undefined; pack = queue.next()) order.push(pack);
  return order;
}

test('as they were written, when nothing else is known', () => {
  expect(rest(new PackQueue([1, 2, 5, 7]))).toEqual([1, 2, 5, 7]);
});

test('the hottest first, each once, and none that is there already', () => {
  expect(rest(new PackQueue([1, 2, 3, 4, 5], [4, 9, 2, 4]))).toEqual([4, 2, 1, 3, 5]);
});

test('what was written last is hottest', () => {
  expect(rest(new PackQueue([1, 3, 4], newestFirst(5)))).toEqual([4, 3, 1]);
});

test('a pack of which a page was needed comes next, with the one behind it', () => {
  const queue = new PackQueue([1, 2, 3, 4, 5, 6]);
  expect(queue.next()).toBe(1);
  queue.promote(4);
  expect(rest(queue)).toEqual([4, 5, 2, 3, 6]);
});

test('promoting what is at the front, fetched already or unknown changes nothing', () => {
  const queue = new PackQueue([1, 2, 3]);
  queue.promote(1);
  expect(queue.next()).toBe(1);
  queue.promote(1);
  queue.promote(40);
  expect(rest(queue)).toEqual([2, 3]);
});
