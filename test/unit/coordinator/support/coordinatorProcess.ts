/** A coordinator as a process of its own, so that a fault point can kill it; it stops at SIGTERM. */
import { startCoordinator } from '../../../../coordinator/main';

const options = JSON.parse(process.argv[2] ?? '');
const peerCredentials = () => ({ pid: 1, uid: 0, gid: 0 });

startCoordinator(options, { peerCredentials }).then(
  (coordinator) => {
    process.once('SIGTERM', () => void coordinator.close());
    process.stdout.write(`${coordinator.address}\n`);
  },
  (error) => {
    process.stderr.write(`${error}\n`);
    process.exit(1);
  },
);
