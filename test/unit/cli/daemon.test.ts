import { runDaemon } from '../../../cli/daemon';

test.each(['SIGTERM', 'SIGINT'] as const)(
  '%s closes the daemon once, and its handlers go',
  async (signal) => {
    const before = process.listenerCount(signal);
    const order: string[] = [];
    const done = runDaemon(
      async () => {
        order.push('started');
        return { close: async () => void order.push('closed') };
      },
      () => {
        order.push('announced');
        process.emit(signal);
      },
    );
    await done;
    expect(order).toEqual(['started', 'announced', 'closed']);
    expect(process.listenerCount(signal)).toBe(before);
  },
);

test('a request to stop during the start is obeyed when it has started', async () => {
  const order: string[] = [];
  await runDaemon(
    async () => {
      process.emit('SIGTERM');
      order.push('started');
      return { close: async () => void order.push('closed') };
    },
    () => order.push('announced'),
  );
  expect(order).toEqual(['started', 'announced', 'closed']);
});
