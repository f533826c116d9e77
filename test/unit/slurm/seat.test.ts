/** A seat is this process's, by the kernel's word, and it is taken again when the agent comes back. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import pino from 'pino';
import { Seats } from '../../../agent/seats/seats';
import { seatService } from '../../../agent/seats/service';
import { takeSeat } from '../../../cli/slurm/seat';
import { serveTools, service, type ToolsServer } from '../../../core/rpc/tools';
import { peerCredentials } from '../../../native';
import { SeatServiceService } from '../../../proto/gen/holdfast/v1/agent';
import { until } from '../../e2e/survival';

const NAME = 'slurm-sim-12';
let directory: string;
let server: ToolsServer;
let seats: Seats;

async function startAgent(): Promise<void> {
  seats = new Seats('n1');
  server = await serveTools({
    ...{ socketPath: join(directory, 'agent.sock'), node: 'n1', peerCredentials },
    services: (identity) => [
      service(SeatServiceService, seatService(seats, { ...identity, node: 'n1' }, pino({ level: 'silent' }))),
    ],
  });
}

beforeEach(async () => {
  directory = mkdtempSync(join(tmpdir(), 'holdfast-seat-'));
  await startAgent();
});
afterEach(async () => {
  await server.close();
  rmSync(directory, { recursive: true });
});

const holder = (): number | null => {
  try {
    return seats.require(NAME, process.getuid?.() ?? 0).pid;
  } catch {
    return null;
  }
};

test('taken, kept across a restart of the agent, given up', async () => {
  const seat = await takeSeat(join(directory, 'agent.sock'), NAME);
  expect(seat.node).toBe('n1');
  expect(holder()).toBe(process.pid);
  await server.close();
  await startAgent();
  expect(holder()).toBeNull();
  await until('the seat again', () => holder(), 10_000);
  seat.release();
  await until('no seat', () => (holder() === null ? true : null), 10_000);
});

test('a name that is none is refused, and so is a socket that gives no seats', async () => {
  await expect(takeSeat(join(directory, 'agent.sock'), 'x')).rejects.toMatchObject({
    code: 'INVALID_ARGUMENT',
  });
  await server.close();
  server = await serveTools({
    ...{ socketPath: join(directory, 'agent.sock'), node: 'n1', peerCredentials },
    services: () => [],
  });
  await expect(takeSeat(join(directory, 'agent.sock'), NAME)).rejects.toMatchObject({
    code: 'COORDINATOR_UNAVAILABLE',
  });
});
