/** Serial numbers as libraries and people write them, in one form: lower-case hex without leading zeros. Pure. */
export function serialOf(text: string): string {
  return text.toLowerCase().replaceAll(':', '').replace(/^0+/, '');
}
