/** Where the output goes: colours only for a terminal that wants them, control characters never. */

export function hasColour(stream: NodeJS.WriteStream): boolean {
  return Boolean(stream.isTTY) && !process.env.NO_COLOR && process.env.TERM !== 'dumb';
}

const CODES = { bold: 1, red: 31, green: 32, yellow: 33 } as const;

export function paint(
  colour: keyof typeof CODES,
  text: string,
  stream: NodeJS.WriteStream = process.stdout,
): string {
  return hasColour(stream) ? `\u001b[${CODES[colour]}m${text}\u001b[0m` : text;
}

/**
 * A text from elsewhere (job names, commands, node names) without control characters, so that it cannot
 * drive the reader's terminal. Line breaks become spaces.
 */
export function printable(text: string): string {
  return text.replace(/[\n\r\t]/g, ' ').replace(/\p{Cc}/gu, '?');
}

export function print(line: string): void {
  process.stdout.write(`${line}\n`);
}

/** What happens meanwhile, for people: on stderr, so that stdout holds only results. */
export function note(line: string): void {
  process.stderr.write(`holdfast: ${printable(line)}\n`);
}

/** One JSON document, on one line: a stream of them is JSON lines. */
export function printJson(value: unknown): void {
  process.stdout.write(`${JSON.stringify(value)}\n`);
}
