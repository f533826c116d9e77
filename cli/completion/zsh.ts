import { allCommands, type CommandModel, type Value, type ValueKind } from './model';

const ACTIONS: Record<ValueKind, string> = {
  jobs: '_holdfast_ids jobs',
  checkpoints: '_holdfast_ids checkpoints',
  nodes: '_holdfast_ids nodes',
  files: '_files',
  directories: '_files -/',
  commands: '_command_names -e',
};

const functionName = (command: CommandModel) => ['_holdfast', ...command.path].join('_');

/** A text within single quotes, for a place where zsh also gives meaning to colons and brackets. */
function quote(text: string): string {
  return text.replace(/[:[\]\\]/g, '\\$&').replaceAll("'", "'\\''");
}

function action(value: Value): string {
  if (value.words.length > 0) return `(${value.words.join(' ')})`;
  const ids = value.kinds.filter((kind) => ['jobs', 'checkpoints', 'nodes'].includes(kind));
  if (ids.length > 1) return `_holdfast_ids ${ids.join(' ')}`;
  const [kind] = value.kinds;
  return kind ? ACTIONS[kind] : ' ';
}

function optionSpecs(command: CommandModel): string[] {
  return command.options.flatMap(({ short, long, description, value, repeatable }) => {
    const names = [short, long].filter((name) => name !== undefined);
    const rest = `[${quote(description)}]${value ? `:value:${action(value)}` : ''}`;
    const exclusive = repeatable ? '*' : `(${names.join(' ')})`;
    return names.map((name) => `'${exclusive}${name}${rest}'`);
  });
}

function leaf(command: CommandModel): string {
  const values = command.values.map((value, index) => {
    const last = index === command.values.length - 1;
    return last && command.repeats ? `'*::command:_normal'` : `'${index + 1}:value:${action(value)}'`;
  });
  return `${functionName(command)}() {
  _arguments -s ${[...optionSpecs(command), ...values].join(' \\\n    ')}
}`;
}

function group(command: CommandModel): string {
  const names = command.children.map((child) => `'${child.path.at(-1)}:${quote(child.summary)}'`);
  const cases = command.children.map((child) => `        ${child.path.at(-1)}) ${functionName(child)} ;;`);
  return `${functionName(command)}() {
  local curcontext="$curcontext" state line
  local -a commands=(${names.join(' ')})
  _arguments -C ${[...optionSpecs(command), "'1:command:->command'", "'*::argument:->argument'"].join(' \\\n    ')}
  case $state in
    command) _describe command commands ;;
    argument)
      case $words[1] in
${cases.join('\n')}
      esac ;;
  esac
}`;
}

export function zshScript(program: CommandModel): string {
  const functions = allCommands(program).map((command) =>
    command.children.length > 0 ? group(command) : leaf(command),
  );
  return `#compdef holdfast
# zsh completion for holdfast; made by \`holdfast completion zsh\`

_holdfast_ids() {
  local -a ids=(\${(f)"$(holdfast __complete "$@" 2>/dev/null)"})
  compadd -a ids
}

${functions.join('\n\n')}

if [ "$funcstack[1]" = _holdfast ]; then
  _holdfast "$@"
else
  compdef _holdfast holdfast
fi
`;
}
