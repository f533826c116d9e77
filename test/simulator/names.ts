/** What simulated nodes are called. Pure. */

/** In order of their numbers, up to a hundred thousand. */
export function nodeName(index: number): string {
  return `sim${String(index).padStart(5, '0')}`;
}

/** Of the private network 10.0.0.0/8; nothing listens there. */
export function addressOf(index: number): string {
  const number = index + 1;
  return `10.${(number >> 16) & 255}.${(number >> 8) & 255}.${number & 255}`;
}
