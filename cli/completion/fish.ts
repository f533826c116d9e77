import { allCommands, type CommandModel, type OptionModel, type Value, type ValueKind } from './model';

const SOURCES: Record<ValueKind, string> = {
  jobs: '(holdfast __complete jobs 2>/dev/null)',
  checkpoints: '(holdfast __complete checkpoints 2>/dev/null)',
  nodes: '(holdfast __complete nodes 2>/dev/null)',
  files: '(__fish_complete_path)',
  directories: '(__fish_complete_directories)',
  commands: '(__fish_complete_command)',
};

function quote(text: string): string {
  return `'${text.replaceAll('\\', '\\\\').replaceAll("'", "\\'")}'`;
}

/** True while exactly this command is being typed. */
function condition(command: CommandModel): string {
  if (command.path.length === 0) return quote('__fish_use_subcommand');
  const seen = command.path.map((name) => `__fish_seen_subcommand_from ${name}`);
  const children = command.children.map((child) => child.path.at(-1)).join(' ');
  return quote(
    [...seen, ...(children ? [`not __fish_seen_subcommand_from ${children}`] : [])].join('; and '),
  );
}

function candidates(value: Value): string {
  return [...value.words, ...value.kinds.map((kind) => SOURCES[kind])].join(' ');
}

function optionLine(command: CommandModel, option: OptionModel): string {
  const names = [
    ...(option.short ? [`-s ${option.short.slice(1)}`] : []),
    ...(option.long.startsWith('--') ? [`-l ${option.long.slice(2)}`] : []),
  ];
  const words = option.value ? candidates(option.value) : '';
  const value = option.value ? ` -x${words && ` -a ${quote(words)}`}` : '';
  return `complete -c holdfast -n ${condition(command)} ${names.join(' ')}${value} -d ${quote(option.description)}`;
}

function linesOf(command: CommandModel): string[] {
  const words = command.values.map(candidates).filter(Boolean).join(' ');
  return [
    ...command.children.map(
      (child) =>
        `complete -c holdfast -n ${condition(command)} -a ${child.path.at(-1)} -d ${quote(child.summary)}`,
    ),
    ...command.options.map((option) => optionLine(command, option)),
    ...(words ? [`complete -c holdfast -n ${condition(command)} -a ${quote(words)}`] : []),
  ];
}

export function fishScript(program: CommandModel): string {
  const lines = allCommands(program).flatMap(linesOf);
  return `# fish completion for holdfast; made by \`holdfast completion fish\`
complete -c holdfast -f
${lines.join('\n')}
`;
}
