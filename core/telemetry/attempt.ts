/** Who only looks on must not change what he sees: what the step throws is dropped, and its result then is undefined. */
export function attempt<T>(step: () => T): T | undefined {
  try {
    return step();
  } catch {
    return undefined;
  }
}
