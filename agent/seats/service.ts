/** TakeSeat, for one caller of this node: the process is the one that the kernel names, whatever the message says. */
import type { Logger } from 'pino';
import { toGrpcError } from '../../core/rpc/errors';
import type { Identity } from '../../core/rpc/identity';
import type { SeatServiceServer } from '../../proto/gen/holdfast/v1/agent';
import { startTicksOf } from '../trees';
import { requeue } from './requeue';
import type { Seats } from './seats';

export function seatService(
  seats: Seats,
  { pid, uid, gid, node }: Identity & { readonly node: string },
  log: Logger,
): SeatServiceServer {
  return {
    takeSeat: (call) => {
      const { seat } = call.request;
      try {
        const giveUp = seats.take(seat, { pid, uid, startTicks: startTicksOf(pid) });
        log.info({ seat, pid, uid }, 'seat taken');
        call.once('cancelled', () => {
          giveUp();
          log.info({ seat, pid, uid }, 'seat given up');
        });
        call.write({ node });
      } catch (thrown) {
        call.emit('error', toGrpcError(thrown));
      }
    },
    requeue: ({ request: { seat } }, callback) => {
      const work = async () => {
        seats.require(seat, uid);
        await requeue(seat, { uid, gid }, log);
      };
      work().then(
        () => callback(null, {}),
        (thrown) => callback(toGrpcError(thrown)),
      );
    },
  };
}
