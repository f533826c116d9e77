/** What the agent makes of a coordinator that is another one than before. */
import { EventEmitter } from 'node:events';
import pino from 'pino';
import { Lease } from '../../../agent/lease';
import { Connection } from '../../../agent/session/connection';
import type { AgentServiceClient, SessionResponse } from '../../../proto/gen/holdfast/v1/agent';

class FakeStream extends EventEmitter {
  write(): void {}
  end(): void {}

  welcome(instance: string): void {
    const value = { leaseMs: 60_000, heartbeatMs: 30_000, instance };
    const response: SessionResponse = { message: { $case: 'welcome', value } };
    this.emit('data', response);
  }
}

test('only another coordinator than the last makes the agent give up what is in flight (F1)', async () => {
  const streams: FakeStream[] = [];
  const session = () => {
    const stream = new FakeStream();
    streams.push(stream);
    return stream;
  };
  const welcomes: boolean[] = [];
  const connection = new Connection({
    client: { session, close: () => {} } as unknown as AgentServiceClient,
    lease: new Lease(() => {}),
    trees: { all: () => [], unreportedEnds: () => [], forget: () => {} },
    log: pino({ level: 'silent' }),
    register: () => ({ node: 'n1', facts: undefined, version: 'test' }),
    filling: () => [],
    execute: () => Promise.reject(new Error('no command')),
    onWelcome: (isOther) => welcomes.push(isOther),
  });
  connection.open();
  for (const [index, instance] of ['a', 'a', 'b'].entries()) {
    while (streams.length <= index) await new Promise((resolve) => setTimeout(resolve, 10));
    streams[index]?.welcome(instance);
    streams[index]?.emit('end');
  }
  connection.close();
  expect(welcomes).toEqual([false, false, true]);
});
