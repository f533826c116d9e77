/** What the agent makes of a coordinator that is another one than before, and of messages that are repeated. */
import { EventEmitter } from 'node:events';
import pino from 'pino';
import { Lease } from '../../../agent/lease';
import { Connection } from '../../../agent/session/connection';
import {
  type AgentServiceClient,
  Command,
  type SessionRequest,
  type SessionResponse,
} from '../../../proto/gen/holdfast/v1/agent';

class FakeStream extends EventEmitter {
  readonly written: SessionRequest[] = [];

  write(request: SessionRequest): void {
    this.written.push(request);
  }

  end(): void {}

  welcome(instance: string): void {
    const value = { leaseMs: 60_000, heartbeatMs: 30_000, instance };
    const response: SessionResponse = { message: { $case: 'welcome', value } };
    this.emit('data', response);
  }
}

type Options = Partial<ConstructorParameters<typeof Connection>[0]>;

function connectionTo(session: () => FakeStream, more: Options): Connection {
  return new Connection({
    client: { session, close: () => {} } as unknown as AgentServiceClient,
    lease: new Lease(() => {}),
    trees: { all: () => [], unreportedEnds: () => [], forget: () => {} },
    log: pino({ level: 'silent' }),
    register: () => ({ node: 'n1', facts: undefined, version: 'test' }),
    filling: () => [],
    execute: () => Promise.reject(new Error('no command')),
    onWelcome: () => {},
    ...more,
  });
}

test('only another coordinator than the last makes the agent give up what is in flight (F1)', async () => {
  const streams: FakeStream[] = [];
  const session = () => {
    const stream = new FakeStream();
    streams.push(stream);
    return stream;
  };
  const welcomes: boolean[] = [];
  const connection = connectionTo(session, { onWelcome: (isOther) => welcomes.push(isOther) });
  connection.open();
  for (const [index, instance] of ['a', 'a', 'b'].entries()) {
    while (streams.length <= index) await new Promise((resolve) => setTimeout(resolve, 10));
    streams[index]?.welcome(instance);
    streams[index]?.emit('end');
  }
  connection.close();
  expect(welcomes).toEqual([false, false, true]);
});

test('a repeated or invented acknowledgement renews no lease (F2)', () => {
  const stream = new FakeStream();
  const renewals: number[] = [];
  const lease = { renew: (sentMs: number) => renewals.push(sentMs) } as unknown as Lease;
  const connection = connectionTo(() => stream, { lease });
  connection.open();
  stream.welcome('a');
  const ack = (sequence: number) => {
    const response: SessionResponse = { message: { $case: 'heartbeatAck', value: { sequence } } };
    stream.emit('data', response);
  };
  expect(stream.written.at(-1)?.message).toMatchObject({ $case: 'heartbeat', value: { sequence: 1 } });
  ack(2);
  expect(renewals).toHaveLength(0);
  ack(1);
  ack(1);
  expect(renewals).toHaveLength(1);
  connection.close();
});

test('a command that is sent again is executed once, and answered again', async () => {
  const stream = new FakeStream();
  const executed: string[] = [];
  const connection = connectionTo(() => stream, {
    execute: async ({ id }) => {
      executed.push(id);
      return { id, error: undefined, body: { $case: 'done', value: {} } };
    },
  });
  connection.open();
  stream.welcome('a');
  const command = Command.fromPartial({ id: 'c-1', job: 'j-1', epoch: 3 });
  const response: SessionResponse = { message: { $case: 'command', value: command } };
  stream.emit('data', response);
  stream.emit('data', response);
  await new Promise((resolve) => setImmediate(resolve));
  const results = stream.written.filter(({ message }) => message?.$case === 'result');
  expect([executed, results.length]).toEqual([['c-1'], 2]);
  connection.close();
});
