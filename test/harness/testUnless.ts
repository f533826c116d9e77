/** A test that this machine may be unable to run: the only place where one is skipped, and the reason is printed. */

/** @param whyNot what the machine lacks; null: nothing */
export function testUnless(whyNot: string | null): jest.It {
  if (whyNot === null) return test;
  process.stderr.write(`not tested: ${whyNot}\n`);
  return test.skip;
}
