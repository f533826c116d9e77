/** How many checkpoints are at work at the same time, and who goes first. */
import { Gate } from '../../../coordinator/operations/gate';
import type { Urgency } from '../../../coordinator/state/operations';

function crowd(gate: Gate) {
  const order: string[] = [];
  const leave = new Map<string, () => void>();
  const come = (name: string, urgency: Urgency) =>
    gate.enter(urgency).then((done) => {
      order.push(name);
      leave.set(name, done);
    });
  return { order, leave: (name: string) => leave.get(name)?.(), come };
}

const settled = () => new Promise((resolve) => setImmediate(resolve));

test('no more than the limit, the urgent ones first, then in the order they came', async () => {
  const { order, leave, come } = crowd(new Gate(() => 2));
  for (const name of ['a', 'b', 'c', 'd']) void come(name, 'normal');
  void come('asked', 'high');
  await settled();
  expect(order).toEqual(['a', 'b']);
  leave('a');
  await settled();
  expect(order).toEqual(['a', 'b', 'asked']);
  // Leaving twice gives one place back.
  leave('a');
  leave('asked');
  await settled();
  expect(order).toEqual(['a', 'b', 'asked', 'c']);
});

test('"now" does not wait, and its place is not given to anybody else', async () => {
  const { order, leave, come } = crowd(new Gate(() => 1));
  void come('a', 'normal');
  void come('now', 'now');
  void come('b', 'normal');
  await settled();
  expect(order).toEqual(['a', 'now']);
  leave('now');
  await settled();
  expect(order).toEqual(['a', 'now']);
  leave('a');
  await settled();
  expect(order).toEqual(['a', 'now', 'b']);
});

test('a limit that was raised lets in who waits, one that was lowered waits until others have left', async () => {
  let limit = 1;
  const gate = new Gate(() => limit);
  const { order, leave, come } = crowd(gate);
  for (const name of ['a', 'b', 'c', 'd']) void come(name, 'normal');
  await settled();
  limit = 3;
  gate.admit();
  await settled();
  expect(order).toEqual(['a', 'b', 'c']);
  limit = 1;
  leave('a');
  leave('b');
  await settled();
  expect(order).toEqual(['a', 'b', 'c']);
  leave('c');
  await settled();
  expect(order).toEqual(['a', 'b', 'c', 'd']);
});

test('when it closes, who waits is sent away, and who comes too', async () => {
  const gate = new Gate(() => 1);
  await gate.enter('high');
  const waiting = gate.enter('high');
  gate.close();
  await expect(waiting).rejects.toMatchObject({ code: 'COORDINATOR_UNAVAILABLE' });
  await expect(gate.enter('now')).rejects.toMatchObject({ code: 'COORDINATOR_UNAVAILABLE' });
});
