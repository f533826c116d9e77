import { paint, print, printable } from './terminal';

export interface Column<T> {
  readonly title: string;
  readonly cell: (row: T) => string | number;
  readonly align?: 'left' | 'right';
}

/** Rows under titles, columns as wide as their widest cell; the last column is not padded. */
export function layOut<T>(columns: readonly Column<T>[], rows: readonly T[]): string[] {
  const body = rows.map((row) => columns.map((column) => printable(String(column.cell(row))) || '-'));
  const cells = [columns.map((column) => column.title), ...body];
  const widths = columns.map((_, index) => Math.max(...cells.map((line) => line[index]?.length ?? 0)));
  return cells.map((line) =>
    line
      .map((text, index) => {
        const width = widths[index] ?? 0;
        return columns[index]?.align === 'right' ? text.padStart(width) : text.padEnd(width);
      })
      .join('  ')
      .trimEnd(),
  );
}

/** Prints a table; with no rows, only the sentence that says so. */
export function printTable<T>(columns: readonly Column<T>[], rows: readonly T[], whenEmpty: string): void {
  if (rows.length === 0) {
    print(whenEmpty);
    return;
  }
  const [titles = '', ...lines] = layOut(columns, rows);
  print(paint('bold', titles));
  for (const line of lines) print(line);
}

/** "name:  value" lines with the values in one column; empty values are left out. */
export function printFields(fields: readonly (readonly [string, string | number])[], indent = ''): void {
  const shown = fields.filter(([, value]) => value !== '');
  const width = Math.max(0, ...shown.map(([name]) => name.length));
  for (const [name, value] of shown) {
    print(`${indent}${`${name}:`.padEnd(width + 2)}${printable(String(value))}`);
  }
}
