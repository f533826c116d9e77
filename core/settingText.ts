/** A text that a parser elsewhere must accept: what it throws is the problem, and says itself what was received. */
import { z } from 'zod';
import { toHoldfastError } from './errors';

export function textFor(parse: (text: string) => unknown) {
  return z.string().superRefine((text, context) => {
    try {
      parse(text);
    } catch (thrown) {
      const { message, remedy } = toHoldfastError(thrown);
      context.addIssue({ code: 'custom', message, params: { remedy } });
    }
  });
}
