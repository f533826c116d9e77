/** nftables tables of our own, always in family inet, always replaced or removed whole. */
import { mustRun } from '../run';

/** Loads a script that declares the table; an older table of the name is replaced in the same transaction. */
export async function loadTable(name: string, body: string): Promise<void> {
  await mustRun(
    'nft',
    ['-f', '-'],
    `table inet ${name}\ndelete table inet ${name}\ntable inet ${name} {\n${body}\n}\n`,
  );
}

/** Removes the table; one that is not there is fine. */
export async function deleteTable(name: string): Promise<void> {
  await mustRun('nft', ['-f', '-'], `table inet ${name}\ndelete table inet ${name}\n`);
}
