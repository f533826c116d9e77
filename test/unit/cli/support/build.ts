/** The real command line, compiled into a directory of its own: tests run it as users do. */

import {
  cpSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { transformSync } from '@swc/core';

const PROJECT = join(__dirname, '..', '..', '..', '..');
const ROOMS = ['core', 'proto/gen', 'cli', 'store', 'native', 'agent', 'coordinator'];

function compileRoom(room: string, target: string): void {
  const files = readdirSync(join(PROJECT, room), { recursive: true, encoding: 'utf8' });
  for (const file of files.filter((name) => name.endsWith('.ts') && !name.includes('node_modules'))) {
    const source = join(PROJECT, room, file);
    const { code } = transformSync(readFileSync(source, 'utf8'), {
      filename: source,
      configFile: false,
      swcrc: false,
      jsc: { parser: { syntax: 'typescript' }, target: 'es2022' },
      module: { type: 'commonjs' },
    });
    const output = join(target, room, file.replace(/\.ts$/, '.js'));
    mkdirSync(dirname(output), { recursive: true });
    writeFileSync(output, code);
  }
}

/** Returns the path of main.js; the caller removes the directory two levels above it. */
export function buildCli(): string {
  const target = mkdtempSync(join(tmpdir(), 'holdfast-cli-'));
  for (const room of ROOMS) compileRoom(room, target);
  cpSync(join(PROJECT, 'package.json'), join(target, 'package.json'));
  symlinkSync(join(PROJECT, 'node_modules'), join(target, 'node_modules'));
  return join(target, 'cli', 'main.js');
}
