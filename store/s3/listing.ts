/** The SDK's client, for listings: it takes any body with a status of success for one, also a part of one, or none at all. */
import type { IncomingMessage } from 'node:http';
import { Readable } from 'node:stream';
import { Client } from 'minio';
import { errnoError } from './errors';

export class ListingClient extends Client {
  override async makeRequestAsync(
    ...request: Parameters<Client['makeRequestAsync']>
  ): Promise<IncomingMessage> {
    const response = await super.makeRequestAsync(...request);
    const chunks: Buffer[] = [];
    for await (const chunk of response) chunks.push(chunk as Buffer);
    const body = Buffer.concat(chunks);
    if (!/<\/ListBucketResult>\s*$/.test(body.subarray(-100).toString('latin1')))
      throw errnoError('EPROTO', 'the reply is no listing, or a part of one');
    // It reads nothing but the body.
    return Readable.from([body]) as IncomingMessage;
  }
}
