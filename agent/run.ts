/** Runs a system tool that must succeed. */
import { HoldfastError } from '../core/errors';
import { runTool } from '../core/program';

export { runTool, type ToolResult, toolEnvironment } from '../core/program';

/** The tool's output, or an INTERNAL error with its last words. */
export async function mustRun(program: string, args: readonly string[], input = ''): Promise<string> {
  const result = await runTool(program, args, input);
  if (result.code !== 0) {
    const reason = result.stderr.trim().split('\n').slice(-3).join('; ');
    throw new HoldfastError('INTERNAL', `${program} ${args.join(' ')} failed (${result.code}): ${reason}`);
  }
  return result.stdout;
}
