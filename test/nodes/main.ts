/**
 * `node dist/test/nodes/main.js up [NAME…] [--share DIR]…`: a simulated cluster to play with. It runs in the
 * foreground and is gone when this program ends.
 */
import { once } from 'node:events';
import { Command } from 'commander';
import { toHoldfastError } from '../../core/errors';
import { SimCluster } from './cluster';

const program = new Command('nodes').description('simulated cluster nodes on this machine');

program
  .command('up')
  .description('boot nodes and keep them until this program ends')
  .argument('[names...]', 'host names', ['head', 'node1', 'node2', 'node3'])
  .option('--share <dir...>', 'directories below /tmp, /run or /dev/shm that all nodes see')
  .action(async (names: string[], options: { share?: string[] }) => {
    const cluster = await SimCluster.create({ names, sharedPaths: options.share ?? [] });
    const width = Math.max(...names.map((name) => name.length));
    for (const { name, address, initPid } of cluster.nodes) {
      const enter = `nsenter -t ${initPid} -m -u -i -n -p bash`;
      console.log(`${name.padEnd(width)}  ${address.padEnd(12)}  ${enter}`);
    }
    console.log('Ctrl-C ends them all.');
    const keepAlive = setInterval(() => {}, 1 << 30);
    await Promise.race([once(process, 'SIGINT'), once(process, 'SIGTERM'), once(process, 'SIGHUP')]);
    clearInterval(keepAlive);
    await cluster.destroy();
  });

program.parseAsync().catch((error: unknown) => {
  const { message, remedy, kind } = toHoldfastError(error);
  console.error([message, remedy].filter(Boolean).join('\n'));
  process.exitCode = kind.exitCode;
});
