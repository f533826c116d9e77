import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { readCredentials } from '../../store/credentials';
import { parseStoreUrl } from '../../store/url';

const invalid = (message: unknown) => expect.objectContaining({ code: 'INVALID_ARGUMENT', message });

describe('store URLs', () => {
  test.each([
    ['file:///ckpt', '/ckpt'],
    ['file:///shared/a%20b/', '/shared/a b'],
    ['file:/ckpt', '/ckpt'],
    ['file:///a/../b', '/b'],
  ])('%s', (url, path) => expect(parseStoreUrl(url)).toEqual({ kind: 'directory', path }));

  test('s3, with everything', () => {
    expect(parseStoreUrl('s3://ckpt/site/a/?endpoint=http://10.0.0.1:7480&region=eu-1')).toEqual({
      kind: 's3',
      bucket: 'ckpt',
      prefix: 'site/a',
      endpoint: new URL('http://10.0.0.1:7480'),
      region: 'eu-1',
    });
  });

  test('s3, with the least', () => {
    const location = parseStoreUrl('s3://ckpt?endpoint=https%3A%2F%2Fs3.example.org');
    expect(location).toMatchObject({ bucket: 'ckpt', prefix: '', region: 'us-east-1' });
  });

  test.each([
    ['', 'not a URL'],
    ['/ckpt', 'not a URL'],
    ['http://host/bucket', 'unknown scheme http://'],
    ['file:///', 'no directory of its own'],
    ['file://host/ckpt', 'only a path'],
    ['file:///ckpt?x=1', 'only a path'],
    ['file:///a%2Fb', 'no directory of its own'],
    ['s3://ckpt', 'no endpoint'],
    ['s3://ckpt?endpoint=10.0.0.1:7480', 'not http(s)://host:port'],
    ['s3://ckpt?endpoint=ftp://host', 'not http(s)://host:port'],
    ['s3://ckpt?endpoint=http://host/path', 'not http(s)://host:port'],
    ['s3://ckpt?endpoint=http://host&acl=public', 'unknown parameter acl'],
    ['s3://ckpt?endpoint=http://host&region=A_B', 'not a region name'],
    ['s3://Ckpt?endpoint=http://host', 'not a bucket name'],
    ['s3://ab?endpoint=http://host', 'not a bucket name'],
    ['s3://ckpt/a//b?endpoint=http://host', 'not a valid key prefix'],
    ['s3://ckpt/a%20b?endpoint=http://host', 'not a valid key prefix'],
  ])('%j is refused: %s', (url, reason) => {
    expect(() => parseStoreUrl(url)).toThrow(invalid(expect.stringContaining(reason)));
  });

  test.each([
    's3://key:hush@ckpt?endpoint=http://host',
    's3://ckpt?endpoint=http://key:hush@host',
    's3://ckpt?endpoint=http://host&secret=hush',
    'http://key:hush@host/bucket',
    'key:hush@host',
  ])('%j is refused without its secret', (url) => {
    expect(() => parseStoreUrl(url)).toThrow(invalid(expect.not.stringContaining('hush')));
  });
});

describe('credentials', () => {
  const directory = mkdtempSync(join(tmpdir(), 'holdfast-credentials-'));
  afterAll(() => rmSync(directory, { recursive: true }));
  const own = { HOLDFAST_S3_ACCESS_KEY: 'own', HOLDFAST_S3_SECRET_KEY: 'hush' };
  const aws = { AWS_ACCESS_KEY_ID: 'aws', AWS_SECRET_ACCESS_KEY: 'hush', AWS_SESSION_TOKEN: 'token' };

  function file(text: string, mode: number): { HOLDFAST_S3_CREDENTIALS_FILE: string } {
    const path = join(directory, `${mode}-${text.length}`);
    writeFileSync(path, text);
    chmodSync(path, mode);
    return { HOLDFAST_S3_CREDENTIALS_FILE: path };
  }

  test('of the environment, ours before those of AWS', () => {
    expect(readCredentials(own)).toEqual({ accessKey: 'own', secretKey: 'hush' });
    expect(readCredentials(aws)).toEqual({ accessKey: 'aws', secretKey: 'hush', sessionToken: 'token' });
    expect(readCredentials({ ...aws, ...own })).toEqual({ accessKey: 'own', secretKey: 'hush' });
  });

  test('of a file, which wins', () => {
    const text = '# of the site\nHOLDFAST_S3_ACCESS_KEY=filed\n\nHOLDFAST_S3_SECRET_KEY="a=b c"\n';
    expect(readCredentials({ ...own, ...file(text, 0o600) })).toEqual({
      accessKey: 'filed',
      secretKey: 'a=b c',
    });
    expect(readCredentials({ ...own, ...file(text, 0o640) }).accessKey).toBe('filed');
  });

  test('a file open to every user is refused', () => {
    const settings = file('HOLDFAST_S3_ACCESS_KEY=k\nHOLDFAST_S3_SECRET_KEY=hush', 0o604);
    expect(() => readCredentials(settings)).toThrow(invalid(expect.stringContaining('mode 0604')));
  });

  test('half of a pair is named', () => {
    expect(() => readCredentials({ HOLDFAST_S3_ACCESS_KEY: 'own' })).toThrow(
      invalid('the environment has no HOLDFAST_S3_SECRET_KEY'),
    );
    expect(() => readCredentials({ AWS_SECRET_ACCESS_KEY: 'hush' })).toThrow(
      invalid('the environment has no AWS_ACCESS_KEY_ID'),
    );
  });

  test('nothing at all, and a file that is not there', () => {
    expect(() => readCredentials({})).toThrow(invalid(expect.stringContaining('no credentials')));
    const settings = { HOLDFAST_S3_CREDENTIALS_FILE: join(directory, 'none') };
    expect(() => readCredentials(settings)).toThrow(invalid(expect.stringContaining('ENOENT')));
  });
});
