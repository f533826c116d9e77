/** Where S3 credentials come from: a private file, or the environment; never a URL or an argument. */
import { closeSync, fstatSync, openSync, readFileSync } from 'node:fs';
import { HoldfastError } from '../core/errors';
import type { S3Credentials } from './s3/driver';

export type Environment = Readonly<Record<string, string | undefined>>;

const FILE_VARIABLE = 'HOLDFAST_S3_CREDENTIALS_FILE';
const MAX_FILE_BYTES = 64 * 1024;

/** The file's assignments win over the environment's, HOLDFAST_ names over AWS_ names. */
export function readCredentials(environment: Environment): S3Credentials {
  const file = environment[FILE_VARIABLE];
  if (file === undefined || file === '') return credentialsIn(environment, 'the environment');
  return credentialsIn(parseAssignments(readPrivateFile(file)), file);
}

/** @param source where the variables are from, for the error. Pure. */
export function credentialsIn(variables: Environment, source: string): S3Credentials {
  for (const [accessName, secretName] of [
    ['HOLDFAST_S3_ACCESS_KEY', 'HOLDFAST_S3_SECRET_KEY'],
    ['AWS_ACCESS_KEY_ID', 'AWS_SECRET_ACCESS_KEY'],
  ] as const) {
    const accessKey = variables[accessName] ?? '';
    const secretKey = variables[secretName] ?? '';
    if (accessKey === '' && secretKey === '') continue;
    if (accessKey === '' || secretKey === '') {
      const missing = accessKey === '' ? accessName : secretName;
      throw invalid(`${source} has no ${missing}`, 'set both, the access key and the secret key');
    }
    const sessionToken = accessName.startsWith('AWS_') ? variables.AWS_SESSION_TOKEN : undefined;
    return sessionToken ? { accessKey, secretKey, sessionToken } : { accessKey, secretKey };
  }
  throw invalid(
    `${source} has no credentials for the S3 store`,
    `set HOLDFAST_S3_ACCESS_KEY and HOLDFAST_S3_SECRET_KEY, or ${FILE_VARIABLE} to a private file with these lines`,
  );
}

/** NAME=value lines, as systemd's EnvironmentFile= has them; '#' begins a comment line. Pure. */
export function parseAssignments(text: string): Environment {
  const variables: Record<string, string> = {};
  for (const line of text.split('\n')) {
    const [, name, value] = /^\s*([A-Z0-9_]+)=(.*?)\s*$/.exec(line) ?? [];
    if (name !== undefined && value !== undefined) variables[name] = value.replace(/^(["'])(.*)\1$/, '$2');
  }
  return variables;
}

function readPrivateFile(path: string): string {
  try {
    const file = openSync(path, 'r');
    try {
      const { mode, size } = fstatSync(file);
      if ((mode & 0o007) !== 0) {
        const found = (mode & 0o777).toString(8);
        throw invalid(
          `the credentials file ${path} is open to every user (mode 0${found})`,
          `chmod 0600 ${path}`,
        );
      }
      if (size > MAX_FILE_BYTES)
        throw invalid(`the credentials file ${path} has ${size} bytes`, 'name the right file');
      return readFileSync(file, 'utf8');
    } finally {
      closeSync(file);
    }
  } catch (error) {
    if (error instanceof HoldfastError) throw error;
    const cause = error instanceof Error ? error.message : String(error);
    throw invalid(
      `the credentials file named by ${FILE_VARIABLE} cannot be read: ${cause}`,
      `correct ${FILE_VARIABLE}`,
    );
  }
}

function invalid(message: string, remedy: string): HoldfastError {
  return new HoldfastError('INVALID_ARGUMENT', message, remedy);
}
