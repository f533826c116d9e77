/** Where metrics and health are served: [HOST:]PORT, on loopback unless a host is given. */
import { z } from 'zod';

export interface ListenAddress {
  readonly host: string;
  readonly port: number;
}

const FORM = /^(?:(\[[0-9a-fA-F:]+\]|[^:\s[\]]+):)?([0-9]{1,5})$/;

export const metricsAddress = z
  .string()
  .refine((text) => Number(FORM.exec(text)?.[2] ?? 65_536) <= 65_535, 'must be HOST:PORT or PORT');

/** @param text of a valid address */
export function listenAddress(text: string): ListenAddress {
  const [, host = '127.0.0.1', port = '0'] = FORM.exec(text) ?? [];
  return { host: host.replace(/^\[|\]$/g, ''), port: Number(port) };
}
