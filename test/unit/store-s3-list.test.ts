/** Listings of the S3 driver, against replies that are none, or not whole: garbage collection deletes by them. */
import { createServer, type Server } from 'node:http';
import { S3Store } from '../../store/s3/driver';

let server: Server;
let store: S3Store;
let replies: string[] = [];

beforeAll(async () => {
  server = createServer((request, response) => {
    // Without a length: only the end of the text says that it is whole.
    response.writeHead(200, { 'Transfer-Encoding': 'chunked' });
    request.resume().on('end', () => response.end(replies.shift()));
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

afterAll(async () => {
  await store.close();
  server.close();
});

const page = (isTruncated: boolean, ...keys: string[]) => {
  const contents = keys.map((key) => `<Contents><Key>${key}</Key><Size>3</Size></Contents>`).join('');
  return `<?xml version="1.0"?><ListBucketResult><IsTruncated>${isTruncated}</IsTruncated>${contents}</ListBucketResult>`;
};

async function list(...script: string[]): Promise<string[]> {
  replies = script;
  const keys: string[] = [];
  for await (const { key } of store.list('jobs/')) keys.push(key);
  return keys;
}

test('pages follow each other, and an empty one is the end', async () => {
  expect(await list(page(true, 'jobs/a', 'jobs/b'), page(false, 'jobs/c'))).toEqual([
    'jobs/a',
    'jobs/b',
    'jobs/c',
  ]);
  expect(await list(page(false))).toEqual([]);
});

test.each([
  ['empty, but not the last one', page(true), 'ended before its end'],
  ['no listing', '<html><body>Welcome</body></html>', 'the reply is no listing'],
  ['nothing', '', 'the reply is no listing'],
  ['cut off', page(false, 'jobs/a', 'jobs/b').slice(0, -70), 'or a part of one'],
])('a page that is %s is a failure of the store', async (_, reply, message) => {
  const failure = { code: 'STORE_UNAVAILABLE', message: expect.stringContaining(message) };
  await expect(list(reply)).rejects.toMatchObject(failure);
  await expect(list(page(true, 'jobs/a'), reply)).rejects.toMatchObject(failure);
});
