/** Runs a system tool that must succeed. */
import { HoldfastError } from '../core/errors';
import { runTool } from '../core/program';

export { runTool, type ToolResult, toolEnvironment } from '../core/program';

/** What they take on a busy node, many times over: the tools of this kind change or show a little of the kernel's state. */
const TOOL_MS = 60_000;

/** The tool's output, or an INTERNAL error with its last words. One that hangs is killed: TIMEOUT. */
export async function mustRun(program: string, args: readonly string[], input = ''): Promise<string> {
  const result = await runTool(program, args, input, TOOL_MS);
  if (result.code !== 0) {
    const reason = result.stderr.trim().split('\n').slice(-3).join('; ');
    throw new HoldfastError('INTERNAL', `${program} ${args.join(' ')} failed (${result.code}): ${reason}`);
  }
  return result.stdout;
}
