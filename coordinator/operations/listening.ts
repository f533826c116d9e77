/** While an operation works, it hears of lost nodes and of requests to abort. */
import type { Operation } from '../../proto/gen/holdfast/v1/coordinator';
import type { Context } from '../context';
import type { Failure } from './failure';

type Heard = { type: 'lost'; node: string; failure: Failure } | { type: 'abort'; failure: Failure };

/** @param nodes whose loss matters, as of when one is lost */
export async function listening<T>(
  { fleet, running }: Context,
  operation: Operation,
  nodes: () => readonly string[],
  post: (event: Heard) => void,
  work: () => Promise<T>,
): Promise<T> {
  const unsubscribe = fleet.lost.subscribe((node) => {
    if (!nodes().includes(node)) return;
    const failure: Failure = { code: 'NODE_LOST', message: `node ${node} was lost`, remedy: '' };
    post({ type: 'lost', node, failure });
  });
  running.add(operation.id, operation.job, (failure) => post({ type: 'abort', failure }));
  try {
    return await work();
  } finally {
    unsubscribe();
    running.remove(operation.id);
  }
}
