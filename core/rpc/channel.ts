/**
 * Limits and keepalive of every connection. TCP_NODELAY is set by Node's HTTP/2 on both ends, so a small
 * command never waits for an acknowledgement.
 */
import type { ChannelOptions } from '@grpc/grpc-js';

/** The part of the largest node (thousands of packs) fits several times. */
export const MAX_MESSAGE_BYTES = 64 * 1024 * 1024;

/** Of one connection: an agent carries the calls of all of its node's users, a tool one command. */
export const MAX_STREAMS = { agent: 8192, tool: 128 } as const;

/** @param keepaliveMs how soon a silent connection is found dead; about the lease's length */
export function channelOptions(keepaliveMs = 10_000): ChannelOptions {
  return {
    'grpc.max_receive_message_length': MAX_MESSAGE_BYTES,
    'grpc.max_send_message_length': MAX_MESSAGE_BYTES,
    'grpc.keepalive_time_ms': keepaliveMs,
    'grpc.keepalive_timeout_ms': keepaliveMs,
    'grpc.keepalive_permit_without_calls': 1,
    // An agent must be back within its lease: the default of up to two minutes would lose every job.
    'grpc.initial_reconnect_backoff_ms': 100,
    'grpc.max_reconnect_backoff_ms': 1_000,
    // Proxies from the environment are for the object store, not for the cluster's own traffic.
    'grpc.enable_http_proxy': 0,
  };
}
