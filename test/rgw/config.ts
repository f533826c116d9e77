/** The configuration of one private Ceph cluster with a RADOS Gateway. Pure. */
import { join } from 'node:path';

/** What identifies a cluster; kept beside its data, so that it can be started again. */
export interface RgwIdentity {
  readonly fsid: string;
  readonly osdUuid: string;
  readonly address: string;
  readonly port: number;
  readonly monitorPort: number;
  readonly accessKey: string;
  readonly secretKey: string;
}

export interface RgwPaths {
  readonly configuration: string;
  readonly monitor: string;
  readonly osd: string;
  readonly gateway: string;
  readonly run: string;
  readonly log: string;
}

export function rgwPaths(directory: string): RgwPaths {
  return {
    configuration: join(directory, 'ceph.conf'),
    monitor: join(directory, 'mon'),
    osd: join(directory, 'osd'),
    gateway: join(directory, 'rgw'),
    run: join(directory, 'run'),
    log: join(directory, 'log'),
  };
}

/** The block file is sparse: this is a bound, not what it occupies. */
const BLOCK_FILE_BYTES = 32 * 2 ** 30;

/** ceph.conf of a cluster of one monitor, one OSD and one gateway, without authentication inside. */
export function cephConfiguration(identity: RgwIdentity, paths: RgwPaths): string {
  const { address, monitorPort } = identity;
  return `[global]
fsid = ${identity.fsid}
mon_host = v2:${address}:${monitorPort}
mon_initial_members = a
public_addr = ${address}
cluster_addr = ${address}
ms_bind_ipv6 = false
auth_cluster_required = none
auth_service_required = none
auth_client_required = none
# radosgw asks the monitor for a secure connection, which a cluster without keys cannot give.
ms_mon_client_mode = crc
run_dir = ${paths.run}
admin_socket =
log_file = ${join(paths.log, '$name.log')}
log_to_file = true
mon_cluster_log_file = ${join(paths.log, 'cluster.log')}
crash_dir = ${join(paths.run, 'crash')}
# One monitor has nobody to wait for.
paxos_propose_interval = 0.05
paxos_min_wait = 0.02
mon_tick_interval = 1
osd_pool_default_size = 1
osd_pool_default_min_size = 1
osd_pool_default_pg_num = 8
osd_pool_default_pgp_num = 8
osd_pool_default_pg_autoscale_mode = off
osd_crush_chooseleaf_type = 0
mon_allow_pool_size_one = true
mon_max_pg_per_osd = 1000
# A full disk of the host must not look like a fault of the store.
mon_data_avail_crit = 1
mon_data_avail_warn = 2
debug_ms = 0
debug_rgw = 0/0
debug_osd = 0/0
debug_bluestore = 0/0
debug_rocksdb = 0/0
debug_paxos = 0/0

[mon.a]
mon_data = ${paths.monitor}

[osd]
osd_data = ${paths.osd}
osd_objectstore = bluestore
bluestore_block_size = ${BLOCK_FILE_BYTES}
bluestore_block_db_create = false
bluestore_block_wal_create = false
osd_memory_target = 1073741824
osd_mclock_skip_benchmark = true
osd_op_num_shards = 2
osd_op_num_threads_per_shard = 2
osd_class_update_on_start = false
crush_location = root=default host=h0

[client.rgw]
rgw_data = ${paths.gateway}
# Without tcp_nodelay every small reply waits for a delayed acknowledgement, 40 ms.
rgw_frontends = beast endpoint=${address}:${identity.port} tcp_nodelay=1
rgw_thread_pool_size = 64
rgw_enable_apis = s3
rgw_enable_usage_log = false
rgw_enable_ops_log = false
rgw_gc_obj_min_wait = 30
rgw_gc_processor_period = 30
rgw_dynamic_resharding = false
`;
}
