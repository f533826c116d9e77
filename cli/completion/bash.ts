import { allCommands, type CommandModel, type Value, type ValueKind } from './model';

const COMPGEN: Record<ValueKind, string> = {
  jobs: '-W "$(_holdfast_ids jobs)"',
  checkpoints: '-W "$(_holdfast_ids checkpoints)"',
  nodes: '-W "$(_holdfast_ids nodes)"',
  files: '-f',
  directories: '-d',
  commands: '-c',
};

/** compgen calls, one per line of output, for a value. */
function generators(value: Value): string[] {
  const words = value.words.length > 0 ? [`-W '${value.words.join(' ')}'`] : [];
  return [...words, ...value.kinds.map((kind) => COMPGEN[kind])];
}

function reply(calls: readonly string[]): string {
  if (calls.length === 0) return 'COMPREPLY=()';
  return `COMPREPLY=($(${calls.map((call) => `compgen ${call} -- "$cur"`).join('; ')}))`;
}

/** Options whose value is completed, then the command's own words, names and values. */
function branch(command: CommandModel): string {
  const optionCases = command.options
    .filter((option) => option.value !== null)
    .map((option) => {
      const names = [option.short, option.long].filter((name) => name !== undefined).join('|');
      return `        ${names}) ${reply(generators(option.value ?? { kinds: [], words: [] }))}; return ;;`;
    });
  const options = command.options.flatMap((option) => [option.long, option.short ?? '']).filter(Boolean);
  const children = command.children.map((child) => child.path.at(-1) ?? '');
  const values = [
    ...(children.length > 0 ? [`-W '${children.join(' ')}'`] : []),
    ...command.values.flatMap(generators),
  ];
  return [
    `    '${command.path.join(' ')}')`,
    ...(optionCases.length > 0 ? ['      case "$prev" in', ...optionCases, '      esac'] : []),
    `      if [[ $cur == -* ]]; then ${reply([`-W '${options.join(' ')}'`])}; return; fi`,
    `      ${reply([...new Set(values)])} ;;`,
  ].join('\n');
}

/** A script that needs nothing but bash itself. */
export function bashScript(program: CommandModel): string {
  const commands = allCommands(program);
  const paths = commands.map((command) => `'${command.path.join(' ')}'`).slice(1);
  return `# bash completion for holdfast; made by \`holdfast completion bash\`

_holdfast_ids() { holdfast __complete "$1" 2>/dev/null; }

_holdfast() {
  local cur=\${COMP_WORDS[COMP_CWORD]} prev=\${COMP_WORDS[COMP_CWORD-1]} path='' index next
  for ((index = 1; index < COMP_CWORD; index++)); do
    next="\${path:+$path }\${COMP_WORDS[index]}"
    case "$next" in
      ${paths.join('|')}) path=$next ;;
      *) break ;;
    esac
  done
  case "$path" in
${commands.map(branch).join('\n')}
  esac
}

complete -o filenames -o bashdefault -F _holdfast holdfast
`;
}
