/** From a store URL to a store with everything around it. */
import type { ObjectStore } from './contract';
import { type Environment, readCredentials } from './credentials';
import { DirectoryStore } from './directory/driver';
import { type RetryOptions, withRetries } from './retry';
import { S3Store } from './s3/driver';
import { parseStoreUrl, type StoreLocation } from './url';
import { withConditionalCheck, withFaultPoints, withGuard, withPrefix } from './wrappers';

/**
 * Makes the store that the URL names; open() it before use.
 * @param url `file:///path` or `s3://bucket[/prefix]?endpoint=http://host:port[&region=…]`
 * @param environment where the credentials of an S3 store are (docs/store.md)
 * @param admit asked before each attempt of a write; when it throws, it is not made
 * Throws INVALID_ARGUMENT when the URL or the credentials cannot be used.
 */
export function openStore(
  url: string,
  environment: Environment = process.env,
  retries: Partial<RetryOptions> = {},
  admit?: (key: string) => Promise<void>,
): ObjectStore {
  const location = parseStoreUrl(url);
  const driver = driverOf(location, environment);
  const inside =
    location.kind === 's3' && location.prefix !== '' ? withPrefix(driver, location.prefix) : driver;
  const guarded = admit === undefined ? inside : withGuard(inside, admit);
  // The fault point is outside: opening the store, which every start does, is not the write that is meant.
  return withFaultPoints(withConditionalCheck(withRetries(guarded, retries)));
}

function driverOf(location: StoreLocation, environment: Environment): ObjectStore {
  if (location.kind === 'directory') return new DirectoryStore(location.path);
  const { endpoint, bucket, region } = location;
  return new S3Store({ endpoint, bucket, region, credentials: readCredentials(environment) });
}
