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

test('SIGHUP reads the configuration again; one that cannot be used changes nothing', async () => {
  const before = process.listenerCount('SIGHUP');
  const order: unknown[] = [];
  const configurations = ['first', 'second'];
  await runDaemon(
    async () => ({
      reload: (next: string) => void order.push(next),
      refuse: (error: unknown) => void order.push(error),
      close: async () => void order.push('closed'),
    }),
    () => {
      for (const signal of ['SIGHUP', 'SIGHUP', 'SIGHUP', 'SIGTERM'] as const) process.emit(signal);
    },
    () => {
      const next = configurations.shift();
      if (next === undefined) throw new Error('unreadable');
      return next;
    },
  );
  expect(order).toEqual(['first', 'second', new Error('unreadable'), 'closed']);
  expect(process.listenerCount('SIGHUP')).toBe(before);
});
