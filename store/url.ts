/** Store URLs. Pure. Error messages repeat what was received without what may be a secret. */
import { fileURLToPath } from 'node:url';
import { HoldfastError } from '../core/errors';
import { isKey } from './key';

export type StoreLocation =
  | { readonly kind: 'directory'; readonly path: string }
  | {
      readonly kind: 's3';
      readonly bucket: string;
      /** Without slashes around it; empty when the whole bucket is the store. */
      readonly prefix: string;
      readonly endpoint: URL;
      readonly region: string;
    };

const FORMS =
  'give file:///absolute/path or s3://bucket[/prefix]?endpoint=http://host:port[&region=us-east-1]';
/** The rule of S3, without the underscores and capitals of its first years. */
const BUCKET = /^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$/;
const REGION = /^[a-z0-9-]{1,40}$/;
const PARAMETERS = ['endpoint', 'region'];

export function parseStoreUrl(text: string): StoreLocation {
  const url = URL.canParse(text) ? new URL(text) : null;
  if (url === null) throw bad(`the store URL is not a URL: ${redacted(text)}`);
  if (url.username !== '' || url.password !== '') {
    throw bad('the store URL holds credentials', 'give them in the environment or in a file (docs/store.md)');
  }
  if (url.protocol === 'file:') return parseFile(url, text);
  if (url.protocol === 's3:') return parseS3(url, text);
  throw bad(`the store URL has the unknown scheme ${url.protocol}//: ${redacted(text)}`);
}

function parseFile(url: URL, text: string): StoreLocation {
  if (url.host !== '' || url.search !== '' || url.hash !== '') {
    throw bad(`a file store URL has only a path: ${redacted(text)}`);
  }
  try {
    const path = fileURLToPath(url);
    if (path !== '/' && !path.includes('\0')) return { kind: 'directory', path: path.replace(/\/+$/, '') };
  } catch {
    // An encoded slash; same answer.
  }
  throw bad(`the store URL names no directory of its own: ${redacted(text)}`);
}

function parseS3(url: URL, text: string): StoreLocation {
  const stranger = [...url.searchParams.keys()].find((name) => !PARAMETERS.includes(name));
  if (stranger !== undefined) throw bad(`the store URL has the unknown parameter ${stranger}`);
  const bucket = url.host;
  if (!BUCKET.test(bucket)) throw bad(`not a bucket name: '${bucket}' in ${redacted(text)}`);
  const prefix = url.pathname.replace(/^\/+|\/+$/g, '');
  if (prefix !== '' && !isKey(prefix)) throw bad(`not a valid key prefix: '${prefix}' in ${redacted(text)}`);
  const region = url.searchParams.get('region') ?? 'us-east-1';
  if (!REGION.test(region)) throw bad(`not a region name: '${region}' in ${redacted(text)}`);
  return { kind: 's3', bucket, prefix, endpoint: parseEndpoint(url.searchParams.get('endpoint')), region };
}

function parseEndpoint(received: string | null): URL {
  if (received === null) throw bad('the store URL has no endpoint parameter');
  const endpoint = URL.canParse(received) ? new URL(received) : null;
  const usable =
    endpoint !== null &&
    (endpoint.protocol === 'http:' || endpoint.protocol === 'https:') &&
    endpoint.username === '' &&
    endpoint.password === '' &&
    endpoint.pathname === '/' &&
    endpoint.search === '';
  if (!usable) throw bad(`the endpoint in the store URL is not http(s)://host:port: ${redacted(received)}`);
  return endpoint;
}

/** The text up to its query, without user information: errors end in logs. */
function redacted(text: string): string {
  return JSON.stringify(text.replace(/[^/]*@/g, '…@').replace(/\?.*$/s, '?…'));
}

function bad(message: string, remedy = FORMS): HoldfastError {
  return new HoldfastError('INVALID_ARGUMENT', message, remedy);
}
