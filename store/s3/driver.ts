/**
 * Objects in a bucket of an S3 server, through the minio SDK's request signing. Bodies go out as single PUTs of
 * known size: the SDK's own putObject hashes each body twice on the main thread, and its multipart upload of
 * streams resumes other people's parts (docs/store.md).
 */
import type { IncomingMessage } from 'node:http';
import { Client } from 'minio';
import { HoldfastError } from '../../core/errors';
import type { ByteRange, ObjectInfo, ObjectStore, PutOptions } from '../contract';
import { checkKey, checkPrefix, isKey } from '../key';
import { readBack } from '../readback';
import { contentLength, drain, readBody } from './body';
import { mayBeTransient, s3Error } from './errors';
import { S3Failure } from './failure';
import { ListingClient } from './listing';
import {
  type Agent,
  createAgent,
  createTransport,
  TRANSPORT_LIMITS,
  type TransportLimits,
} from './transport';

export interface S3Credentials {
  readonly accessKey: string;
  readonly secretKey: string;
  readonly sessionToken?: string;
}

export interface S3Options {
  /** http://host:port or https://host:port */
  readonly endpoint: URL;
  readonly bucket: string;
  readonly region: string;
  readonly credentials: S3Credentials;
  readonly limits?: TransportLimits;
  /** Keys asked for in one listing request, at most 1000. */
  readonly pageKeys?: number;
}

const SUCCESS = [200, 204, 206];

interface Sending {
  readonly key?: string;
  readonly headers?: Record<string, string>;
  readonly body?: Uint8Array;
  readonly sha256?: string;
}

export class S3Store implements ObjectStore {
  readonly description: string;
  readonly #options: S3Options;
  readonly #agent: Agent;
  /** Leaves the body out of the signature. */
  readonly #plain: Client;
  /** Sends the body's SHA-256, which the server compares. */
  readonly #verified: Client;
  readonly #listing: Client;

  constructor(options: S3Options) {
    const { endpoint, bucket, limits = TRANSPORT_LIMITS } = options;
    const secure = endpoint.protocol === 'https:';
    this.description = `s3://${bucket} at ${endpoint.origin}`;
    this.#options = options;
    this.#agent = createAgent(secure, limits);
    const client = (enableSHA256: boolean, Made = Client) => {
      const made = new Made({
        endPoint: endpoint.hostname.replace(/^\[|\]$/g, ''),
        port: endpoint.port === '' ? (secure ? 443 : 80) : Number(endpoint.port),
        useSSL: secure,
        region: options.region,
        ...options.credentials,
        transport: createTransport(secure, limits),
        transportAgent: this.#agent,
        // The SDK would repeat a conditional create blindly.
        retryOptions: { disableRetry: true },
      });
      made.enableSHA256 = enableSHA256;
      return made;
    };
    this.#plain = client(false);
    this.#verified = client(true);
    this.#listing = client(false, ListingClient);
  }

  async open(): Promise<void> {
    await named(`opening ${this.description}`, () => this.#makeBucketIfMissing());
  }

  async close(): Promise<void> {
    this.#agent.destroy();
  }

  async put(key: string, body: Uint8Array, { sha256 }: PutOptions = {}): Promise<void> {
    const what = this.#doing('writing', checkKey(key));
    await named(what, async () => drain(await this.#send('PUT', { key, body, sha256 })));
  }

  async putIfAbsent(key: string, body: Uint8Array): Promise<boolean> {
    const what = this.#doing('writing', checkKey(key));
    try {
      await drain(await this.#send('PUT', { key, body, headers: { 'If-None-Match': '*' } }));
      return true;
    } catch (error) {
      if (error instanceof S3Failure) {
        if (error.status === 412) return false;
        // A gateway may answer the losers of a race with a server error first.
        if (mayBeTransient(error.status)) return this.#resolveCreate(key, body, s3Error(error, what));
      }
      throw s3Error(error, what);
    }
  }

  async get(key: string, range?: ByteRange, into?: Buffer): Promise<Buffer> {
    const what = this.#doing('reading', checkKey(key));
    return named(what, async () => {
      if (range === undefined) return readBody(await this.#send('GET', { key }), what, { into });
      // HTTP has no empty range.
      if (range.length === 0) return drain(await this.#send('HEAD', { key })).then(() => Buffer.alloc(0));
      const headers = { Range: `bytes=${range.offset}-${range.offset + range.length - 1}` };
      const response = await this.#send('GET', { key, headers });
      return readBody(response, what, { expectedBytes: range.length, into });
    });
  }

  async stat(key: string): Promise<ObjectInfo | null> {
    const what = this.#doing('reading', checkKey(key));
    try {
      const response = await this.#send('HEAD', { key });
      await drain(response);
      const modifiedMs = Date.parse(response.headers['last-modified'] ?? '');
      return { key, sizeBytes: contentLength(response), modifiedMs };
    } catch (error) {
      if (error instanceof S3Failure && error.status === 404) return null;
      throw s3Error(error, what);
    }
  }

  async *list(prefix: string): AsyncIterable<ObjectInfo> {
    checkPrefix(prefix);
    const { bucket, pageKeys = 1000 } = this.#options;
    let after = '';
    for (let more = true; more; ) {
      // The first version of the listing call: the SDK reads keys of the second one as numbers where it can.
      const what = this.#doing('listing', prefix);
      const page = await named(what, () =>
        this.#listing.listObjectsQuery(bucket, prefix, after, { Delimiter: '', MaxKeys: pageKeys }),
      );
      for (const { name, size, lastModified } of page.objects) {
        // The SDK reads the key "false" as a boolean, and hands out an empty name for it.
        const key = name === undefined || name === '' ? 'false' : name;
        after = key;
        if (isKey(key)) yield { key, sizeBytes: size ?? 0, modifiedMs: lastModified?.getTime() ?? 0 };
      }
      more = page.isTruncated === true;
      // It says that there is more, but not after what.
      if (more && page.objects.length === 0)
        throw new HoldfastError('STORE_UNAVAILABLE', `${what} ended before its end`, 'see the server');
    }
  }

  async delete(key: string): Promise<void> {
    const what = this.#doing('deleting', checkKey(key));
    try {
      await drain(await this.#send('DELETE', { key }));
    } catch (error) {
      if (!(error instanceof S3Failure && error.code === 'NoSuchKey')) throw s3Error(error, what);
    }
  }

  #doing(verb: string, key: string): string {
    return `${verb} s3://${this.#options.bucket}/${key} at ${this.#options.endpoint.origin}`;
  }

  /** Rejects with S3Failure, or with the error of the socket. The caller reads the reply to its end. */
  async #send(method: string, { key, headers = {}, body, sha256 }: Sending): Promise<IncomingMessage> {
    const { bucket, region } = this.#options;
    const client = sha256 === undefined ? this.#plain : this.#verified;
    const sent = body === undefined ? '' : Buffer.from(body.buffer, body.byteOffset, body.byteLength);
    if (method === 'PUT') headers = { ...headers, 'Content-Length': String(sent.length) };
    const request = { method, bucketName: bucket, objectName: key, headers };
    return client.makeRequestStreamAsync(request, sent, sha256 ?? '', SUCCESS, region);
  }

  async #resolveCreate(key: string, body: Uint8Array, error: HoldfastError): Promise<boolean> {
    const found = await readBack(this, key, body).catch(() => 'missing' as const);
    if (found === 'missing') throw error;
    return found === 'ours';
  }

  async #makeBucketIfMissing(): Promise<void> {
    const { bucket, region } = this.#options;
    try {
      await drain(await this.#send('HEAD', {}));
    } catch (error) {
      if (!(error instanceof S3Failure && error.status === 404)) throw error;
      try {
        await this.#plain.makeBucket(bucket, region);
      } catch (refusal) {
        // Another node was faster.
        if (!(refusal instanceof S3Failure && refusal.code === 'BucketAlreadyOwnedByYou')) throw refusal;
      }
    }
  }
}

async function named<T>(what: string, step: () => Promise<T>): Promise<T> {
  try {
    return await step();
  } catch (error) {
    throw s3Error(error, what);
  }
}
