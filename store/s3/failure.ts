/** A reply of the server other than success. */
export class S3Failure extends Error {
  /** S3's name of the failure, such as NoSuchKey; empty when the reply had no body. */
  readonly code: string;

  constructor(
    readonly status: number,
    body: string,
  ) {
    const code = /<Code>([A-Za-z0-9]{1,80})<\/Code>/.exec(body)?.[1] ?? '';
    super(code === '' ? `HTTP status ${status}` : `${code}, HTTP status ${status}`);
    this.code = code;
  }
}
