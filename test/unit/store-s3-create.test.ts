/** The conditional create of the S3 driver, against replies that a real gateway gives only now and then. */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { S3Store } from '../../store/s3/driver';

type Reply = (request: IncomingMessage, response: ServerResponse) => void;

const status = (code: number, body = ''): Reply => {
  return (_, response) => response.writeHead(code, { 'Content-Length': Buffer.byteLength(body) }).end(body);
};
const hangUp: Reply = (request) => request.socket.destroy();
const failed = status(500, '<?xml version="1.0"?><Error><Code>InternalError</Code></Error>');

describe('a conditional create', () => {
  let server: Server;
  let store: S3Store;
  let replies: Reply[] = [];
  let requests: string[] = [];

  beforeAll(async () => {
    server = createServer((request, response) => {
      requests.push(`${request.method} ${request.headers['if-none-match'] ?? ''}`.trim());
      const reply = replies.shift() ?? status(599);
      request.resume().on('end', () => reply(request, response));
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const address = server.address();
    if (address === null || typeof address === 'string') throw new Error('no port');
    store = new S3Store({
      endpoint: new URL(`http://127.0.0.1:${address.port}`),
      bucket: 'bucket',
      region: 'us-east-1',
      credentials: { accessKey: 'key', secretKey: 'hush' },
    });
  });
  beforeEach(() => {
    requests = [];
  });
  afterAll(async () => {
    await store.close();
    server.close();
  });

  const create = (...script: Reply[]) => {
    replies = script;
    return store.putIfAbsent('key', Buffer.from('ours'));
  };

  test('asks for the key to be absent', async () => {
    expect(await create(status(200))).toBe(true);
    expect(requests).toEqual(['PUT *']);
  });

  test('is false when the key exists', async () => {
    expect(await create(status(412, '<Error><Code>PreconditionFailed</Code></Error>'))).toBe(false);
    expect(requests).toEqual(['PUT *']);
  });

  test.each([failed, status(503), status(409, '<Error><Code>ConditionalRequestConflict</Code></Error>')])(
    'after a server error the key is read back (%#)',
    async (error) => {
      expect(await create(error, status(200, 'ours'))).toBe(true);
      expect(await create(error, status(200, 'theirs'))).toBe(false);
      await expect(create(error, status(404))).rejects.toMatchObject({ code: 'STORE_UNAVAILABLE' });
      await expect(create(error, failed)).rejects.toMatchObject({ code: 'STORE_UNAVAILABLE' });
      expect(requests).toEqual(['PUT *', 'GET', 'PUT *', 'GET', 'PUT *', 'GET', 'PUT *', 'GET']);
    },
  );

  test('a lost reply is the caller’s to resolve; the request is not repeated', async () => {
    await expect(create(hangUp)).rejects.toMatchObject({ code: 'STORE_UNAVAILABLE' });
    expect(requests).toEqual(['PUT *']);
  });

  test('a refusal stays one', async () => {
    await expect(create(status(403))).rejects.toMatchObject({ code: 'STORE_REFUSED' });
    await expect(create(status(501))).rejects.toMatchObject({ code: 'STORE_REFUSED' });
  });
});
