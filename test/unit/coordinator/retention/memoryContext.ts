/** What retention needs of a coordinator, without any connection. */
import type { Redis } from 'ioredis';
import { Catalog } from '../../../../coordinator/catalog/catalog';
import type { Clock } from '../../../../coordinator/clock';
import type { Context } from '../../../../coordinator/context';
import { Collecting } from '../../../../coordinator/retention/collecting';
import { UsageTable } from '../../../../coordinator/retention/usage';
import { JobTable } from '../../../../coordinator/state/jobs';
import { JobLocks } from '../../../../coordinator/state/locks';
import { OperationTable } from '../../../../coordinator/state/operations';
import { Transfers } from '../../../../coordinator/transfer/transfers';
import { openLog } from '../../../../core/log';
import { KEEP_ALL } from '../../../../core/retention';
import type { ObjectStore } from '../../../../store/contract';

export async function memoryContext(
  redis: Redis,
  store: ObjectStore,
  clock: Clock,
  gcGraceMs: number,
): Promise<Context> {
  const log = openLog('coordinator', 'silent');
  const jobs = await JobTable.load(redis);
  const context = {
    ...{ redis, store, log, jobs, clock },
    catalog: new Catalog(redis, store, jobs, log),
    operations: await OperationTable.load(redis),
    locks: new JobLocks(),
    removals: new JobLocks(),
    transfers: new Transfers(),
    usage: new UsageTable(redis),
    collecting: new Collecting(),
    fleet: { fillingOf: () => [] },
    gathering: { remainingMs: () => 0 },
    policies: () => ({
      restartWaitMs: 0,
      retention: KEEP_ALL,
      gcGraceMs,
      userQuotaBytes: 0,
      accountQuotas: [],
    }),
  };
  return context as unknown as Context;
}
