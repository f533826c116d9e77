/** A stream of bytes to the coordinator, no faster than it is taken. */
import type { Metadata, ServiceError } from '@grpc/grpc-js';
import type { HoldfastError } from '../../core/errors';
import type { CoordinatorServiceClient, ImportResponse } from '../../proto/gen/holdfast/v1/coordinator';

/** Of one message; a chunk of a pipe or a file is smaller. */
const PIECE_BYTES = 256 * 1024;

/**
 * The answer may come before the end of the source, when something is wrong with it: then the rest is not sent.
 * @throws HoldfastError of the coordinator, or what the source throws
 */
export async function upload(
  client: CoordinatorServiceClient,
  metadata: Metadata,
  source: AsyncIterable<Uint8Array>,
  fromGrpcError: (error: unknown) => HoldfastError,
): Promise<ImportResponse> {
  let call!: ReturnType<typeof client.import>;
  let hasAnswer = false;
  let onAnswer: () => void = () => undefined;
  const answer = new Promise<ImportResponse>((resolve, reject) => {
    call = client.import(metadata, (error: ServiceError | null, response) => {
      hasAnswer = true;
      onAnswer();
      if (error) reject(fromGrpcError(error));
      else resolve(response);
    });
  });
  // Awaited at the end; until then a rejection must not count as unhandled.
  answer.catch(() => undefined);
  call.on('error', () => undefined);
  // Not Promise.race() with the answer: that would keep every chunk until the answer comes.
  const unlessAnswered = <T>(step: Promise<T>): Promise<T | undefined> =>
    new Promise((resolve, reject) => {
      onAnswer = () => resolve(undefined);
      step.then(resolve, reject);
      if (hasAnswer) onAnswer();
    });
  const send = async (data: Uint8Array) => {
    if (call.write({ data })) return;
    await unlessAnswered(new Promise<void>((resolve) => call.once('drain', resolve)));
  };
  try {
    const chunks = source[Symbol.asyncIterator]();
    for (;;) {
      const next = await unlessAnswered(chunks.next());
      if (next === undefined || next.done === true) break;
      const chunk = next.value;
      for (let offset = 0; offset < chunk.length && !hasAnswer; offset += PIECE_BYTES)
        await send(chunk.subarray(offset, offset + PIECE_BYTES));
    }
    call.end();
  } catch (thrown) {
    call.cancel();
    throw thrown;
  }
  return answer;
}
