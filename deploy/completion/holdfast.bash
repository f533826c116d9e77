# bash completion for holdfast; made by `holdfast completion bash`

_holdfast_ids() { holdfast __complete "$1" 2>/dev/null; }

_holdfast() {
  local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD-1]} path='' index next
  for ((index = 1; index < COMP_CWORD; index++)); do
    next="${path:+$path }${COMP_WORDS[index]}"
    case "$next" in
      'run'|'mpirun'|'checkpoint'|'restart'|'jobs'|'checkpoints'|'checkpoints pin'|'checkpoints unpin'|'checkpoints remove'|'info'|'nodes'|'drain'|'undrain'|'kill'|'export'|'import'|'retention'|'retention explain'|'retention set'|'gc'|'usage'|'slurm'|'slurm check'|'slurm install'|'slurm jobs'|'slurm tasks'|'slurm track'|'catalog'|'catalog rebuild'|'agent'|'agent check'|'coordinator'|'config'|'config check'|'config show'|'ca'|'ca init'|'ca issue'|'ca rotate'|'ca revoke'|'ca list'|'rsh'|'completion'|'version') path=$next ;;
      *) break ;;
    esac
  done
  case "$path" in
    '')
      if [[ $cur == -* ]]; then COMPREPLY=($(compgen -W '--version -V --help -h' -- "$cur")); return; fi
      COMPREPLY=($(compgen -W 'run mpirun checkpoint restart jobs checkpoints info nodes drain undrain kill export import retention gc usage slurm catalog agent coordinator config ca rsh completion version' -- "$cur")) ;;
    'run')
      case "$prev" in
        --name) COMPREPLY=(); return ;;
        --every) COMPREPLY=(); return ;;
        --cron) COMPREPLY=(); return ;;
        --time-zone) COMPREPLY=(); return ;;
        --walltime) COMPREPLY=(); return ;;
        --deadline) COMPREPLY=(); return ;;
        --keep) COMPREPLY=(); return ;;
        --account) COMPREPLY=(); return ;;
        --live) COMPREPLY=($(compgen -W 'never auto always' -- "$cur")); return ;;
        --max-restarts) COMPREPLY=(); return ;;
        --output) COMPREPLY=($(compgen -f -- "$cur")); return ;;
        --resume) COMPREPLY=($(compgen -W "$(_holdfast_ids jobs)" -- "$cur")); return ;;
        --nodes) COMPREPLY=($(compgen -W "$(_holdfast_ids nodes)" -- "$cur")); return ;;
        --node) COMPREPLY=($(compgen -W "$(_holdfast_ids nodes)" -- "$cur")); return ;;
        --restart) COMPREPLY=($(compgen -W 'never same any' -- "$cur")); return ;;
        --restart-backoff) COMPREPLY=(); return ;;
        --socket) COMPREPLY=($(compgen -f -- "$cur")); return ;;
        --coordinator) COMPREPLY=(); return ;;
        --auth) COMPREPLY=(); return ;;
        --ca) COMPREPLY=($(compgen -f -- "$cur")); return ;;
        --munge-socket) COMPREPLY=($(compgen -f -- "$cur")); return ;;
      esac
      if [[ $cur == -* ]]; then COMPREPLY=($(compgen -W '--name --every --cron --time-zone --walltime --deadline --keep --account --live --max-restarts --output --resume --nodes --node --restart --restart-backoff --no-slurm --detach -d --json --socket --coordinator --auth --ca --munge-socket --help -h' -- "$cur")); return; fi
      COMPREPLY=($(compgen -c -- "$cur")) ;;
    'mpirun')
      case "$prev" in
        --name) COMPREPLY=(); return ;;
        --every) COMPREPLY=(); return ;;
        --cron) COMPREPLY=(); return ;;
        --time-zone) COMPREPLY=(); return ;;
        --walltime) COMPREPLY=(); return ;;
        --deadline) COMPREPLY=(); return ;;
        --keep) COMPREPLY=(); return ;;
        --account) COMPREPLY=(); return ;;
        --live) COMPREPLY=($(compgen -W 'never auto always' -- "$cur")); return ;;
        --max-restarts) COMPREPLY=(); return ;;
        --output) COMPREPLY=($(compgen -f -- "$cur")); return ;;
        --resume) COMPREPLY=($(compgen -W "$(_holdfast_ids jobs)" -- "$cur")); return ;;
        --mpirun) COMPREPLY=(); return ;;
        --socket) COMPREPLY=($(compgen -f -- "$cur")); return ;;
        --coordinator) COMPREPLY=(); return ;;
        --auth) COMPREPLY=(); return ;;
        --ca) COMPREPLY=($(compgen -f -- "$cur")); return ;;
        --munge-socket) COMPREPLY=($(compgen -f -- "$cur")); return ;;
      esac
      if [[ $cur == -* ]]; then COMPREPLY=($(compgen -W '--name --every --cron --time-zone --walltime --deadline --keep --account --live --max-restarts --output --resume --mpirun --json --socket --coordinator --auth --ca --munge-socket --help -h' -- "$cur")); return; fi
      COMPREPLY=() ;;
    'checkpoint')
      case "$prev" in
        --live) COMPREPLY=($(compgen -W 'never auto always' -- "$cur")); return ;;
        --socket) COMPREPLY=($(compgen -f -- "$cur")); return ;;
        --coordinator) COMPREPLY=(); return ;;
        --auth) COMPREPLY=(); return ;;
        --ca) COMPREPLY=($(compgen -f -- "$cur")); return ;;
        --munge-socket) COMPREPLY=($(compgen -f -- "$cur")); return ;;
      esac
      if [[ $cur == -* ]]; then COMPREPLY=($(compgen -W '--stop --now --live --json --socket --coordinator --auth --ca --munge-socket --help -h' -- "$cur")); return; fi
      COMPREPLY=($(compgen -W "$(_holdfast_ids jobs)" -- "$cur")) ;;
    'restart')
      case "$prev" in
        --nodes) COMPREPLY=($(compgen -W "$(_holdfast_ids nodes)" -- "$cur")); return ;;
        --output) COMPREPLY=($(compgen -f -- "$cur")); return ;;
        --walltime) COMPREPLY=(); return ;;
        --deadline) COMPREPLY=(); return ;;
        --socket) COMPREPLY=($(compgen -f -- "$cur")); return ;;
        --coordinator) COMPREPLY=(); return ;;
        --auth) COMPREPLY=(); return ;;
        --ca) COMPREPLY=($(compgen -f -- "$cur")); return ;;
        --munge-socket) COMPREPLY=($(compgen -f -- "$cur")); return ;;
      esac
      if [[ $cur == -* ]]; then COMPREPLY=($(compgen -W '--nodes --output --lazy --walltime --deadline --detach -d --json --socket --coordinator --auth --ca --munge-socket --help -h' -- "$cur")); return; fi
      COMPREPLY=($(compgen -W "$(_holdfast_ids checkpoints)" -- "$cur"; compgen -W "$(_holdfast_ids jobs)" -- "$cur")) ;;
    'jobs')
      case "$prev" in
        --socket) COMPREPLY=($(compgen -f -- "$cur")); return ;;
        --coordinator) COMPREPLY=(); return ;;
        --auth) COMPREPLY=(); return ;;
        --ca) COMPREPLY=($(compgen -f -- "$cur")); return ;;
        --munge-socket) COMPREPLY=($(compgen -f -- "$cur")); return ;;
      esac
      if [[ $cur == -* ]]; then COMPREPLY=($(compgen -W '--all -a --json --socket --coordinator --auth --ca --munge-socket --help -h' -- "$cur")); return; fi
      COMPREPLY=() ;;
    'checkpoints')
      case "$prev" in
        --socket) COMPREPLY=($(compgen -f -- "$cur")); return ;;
        --coordinator) COMPREPLY=(); return ;;
        --auth) COMPREPLY=(); return ;;
        --ca) COMPREPLY=($(compgen -f -- "$cur")); return ;;
        --munge-socket) COMPREPLY=($(compgen -f -- "$cur")); return ;;
      esac
      if [[ $cur == -* ]]; then COMPREPLY=($(compgen -W '--json --socket --coordinator --auth --ca --munge-socket --help -h' -- "$cur")); return; fi
      COMPREPLY=($(compgen -W 'pin unpin remove' -- "$cur"; compgen -W "$(_holdfast_ids jobs)" -- "$cur")) ;;
    'checkpoints pin')
      case "$prev" in
        --socket) COMPREPLY=($(compgen -f -- "$cur")); return ;;
        --coordinator) COMPREPLY=(); return ;;
        --auth) COMPREPLY=(); return ;;
        --ca) COMPREPLY=($(compgen -f -- "$cur")); return ;;
        --munge-socket) COMPREPLY=($(compgen -f -- "$cur")); return ;;
      esac
      if [[ $cur == -* ]]; then COMPREPLY=($(compgen -W '--json --socket --coordinator --auth --ca --munge-socket --help -h' -- "$cur")); return; fi
      COMPREPLY=($(compgen -W "$(_holdfast_ids checkpoints)" -- "$cur")) ;;
    'checkpoints unpin')
      case "$prev" in
        --socket) COMPREPLY=($(compgen -f -- "$cur")); return ;;
        --coordinator) COMPREPLY=(); return ;;
        --auth) COMPREPLY=(); return ;;
        --ca) COMPREPLY=($(compgen -f -- "$cur")); return ;;
        --munge-socket) COMPREPLY=($(compgen -f -- "$cur")); return ;;
      esac
      if [[ $cur == -* ]]; then COMPREPLY=($(compgen -W '--json --socket --coordinator --auth --ca --munge-socket --help -h' -- "$cur")); return; fi
      COMPREPLY=($(compgen -W "$(_holdfast_ids checkpoints)" -- "$cur")) ;;
    'checkpoints remove')
      case "$prev" in
        --socket) COMPREPLY=($(compgen -f -- "$cur")); return ;;
        --coordinator) COMPREPLY=(); return ;;
        --auth) COMPREPLY=(); return ;;
        --ca) COMPREPLY=($(compgen -f -- "$cur")); return ;;
        --munge-socket) COMPREPLY=($(compgen -f -- "$cur")); return ;;
      esac
      if [[ $cur == -* ]]; then COMPREPLY=($(compgen -W '--json --socket --coordinator --auth --ca --munge-socket --help -h' -- "$cur")); return; fi
      COMPREPLY=($(compgen -W "$(_holdfast_ids checkpoints)" -- "$cur")) ;;
    'info')
      case "$prev" in
        --socket) COMPREPLY=($(compgen -f -- "$cur")); return ;;
        --coordinator) COMPREPLY=(); return ;;
        --auth) COMPREPLY=(); return ;;
        --ca) COMPREPLY=($(compgen -f -- "$cur")); return ;;
        --munge-socket) COMPREPLY=($(compgen -f -- "$cur")); return ;;
      esac
      if [[ $cur == -* ]]; then COMPREPLY=($(compgen -W '--json --socket --coordinator --auth --ca --munge-socket --help -h' -- "$cur")); return; fi
      COMPREPLY=($(compgen -W "$(_holdfast_ids checkpoints)" -- "$cur"; compgen -W "$(_holdfast_ids jobs)" -- "$cur"; compgen -W "$(_holdfast_ids nodes)" -- "$cur")) ;;
    'nodes')
      case "$prev" in
        --socket) COMPREPLY=($(compgen -f -- "$cur")); return ;;
        --coordinator) COMPREPLY=(); return ;;
        --auth) COMPREPLY=(); return ;;
        --ca) COMPREPLY=($(compgen -f -- "$cur")); return ;;
        --munge-socket) COMPREPLY=($(compgen -f -- "$cur")); return ;;
      esac
      if [[ $cur == -* ]]; then COMPREPLY=($(compgen -W '--json --socket --coordinator --auth --ca --munge-socket --help -h' -- "$cur")); return; fi
      COMPREPLY=() ;;
    'drain')
      case "$prev" in
        --reason) COMPREPLY=(); return ;;
        --socket) COMPREPLY=($(compgen -f -- "$cur")); return ;;
        --coordinator) COMPREPLY=(); return ;;
        --auth) COMPREPLY=(); return ;;
        --ca) COMPREPLY=($(compgen -f -- "$cur")); return ;;
        --munge-socket) COMPREPLY=($(compgen -f -- "$cur")); return ;;
      esac
      if [[ $cur == -* ]]; then COMPREPLY=($(compgen -W '--reason --restart --json --socket --coordinator --auth --ca --munge-socket --help -h' -- "$cur")); return; fi
      COMPREPLY=($(compgen -W "$(_holdfast_ids nodes)" -- "$cur")) ;;
    'undrain')
      case "$prev" in
        --socket) COMPREPLY=($(compgen -f -- "$cur")); return ;;
        --coordinator) COMPREPLY=(); return ;;
        --auth) COMPREPLY=(); return ;;
        --ca) COMPREPLY=($(compgen -f -- "$cur")); return ;;
        --munge-socket) COMPREPLY=($(compgen -f -- "$cur")); return ;;
      esac
      if [[ $cur == -* ]]; then COMPREPLY=($(compgen -W '--json --socket --coordinator --auth --ca --munge-socket --help -h' -- "$cur")); return; fi
      COMPREPLY=($(compgen -W "$(_holdfast_ids nodes)" -- "$cur")) ;;
    'kill')
      case "$prev" in
        -s|--signal) COMPREPLY=($(compgen -W 'TERM INT KILL HUP USR1 USR2 STOP CONT' -- "$cur")); return ;;
        --socket) COMPREPLY=($(compgen -f -- "$cur")); return ;;
        --coordinator) COMPREPLY=(); return ;;
        --auth) COMPREPLY=(); return ;;
        --ca) COMPREPLY=($(compgen -f -- "$cur")); return ;;
        --munge-socket) COMPREPLY=($(compgen -f -- "$cur")); return ;;
      esac
      if [[ $cur == -* ]]; then COMPREPLY=($(compgen -W '--signal -s --json --socket --coordinator --auth --ca --munge-socket --help -h' -- "$cur")); return; fi
      COMPREPLY=($(compgen -W "$(_holdfast_ids jobs)" -- "$cur")) ;;
    'export')
      case "$prev" in
        --socket) COMPREPLY=($(compgen -f -- "$cur")); return ;;
        --coordinator) COMPREPLY=(); return ;;
        --auth) COMPREPLY=(); return ;;
        --ca) COMPREPLY=($(compgen -f -- "$cur")); return ;;
        --munge-socket) COMPREPLY=($(compgen -f -- "$cur")); return ;;
      esac
      if [[ $cur == -* ]]; then COMPREPLY=($(compgen -W '--json --socket --coordinator --auth --ca --munge-socket --help -h' -- "$cur")); return; fi
      COMPREPLY=($(compgen -W "$(_holdfast_ids checkpoints)" -- "$cur")) ;;
    'import')
      case "$prev" in
        --socket) COMPREPLY=($(compgen -f -- "$cur")); return ;;
        --coordinator) COMPREPLY=(); return ;;
        --auth) COMPREPLY=(); return ;;
        --ca) COMPREPLY=($(compgen -f -- "$cur")); return ;;
        --munge-socket) COMPREPLY=($(compgen -f -- "$cur")); return ;;
      esac
      if [[ $cur == -* ]]; then COMPREPLY=($(compgen -W '--json --socket --coordinator --auth --ca --munge-socket --help -h' -- "$cur")); return; fi
      COMPREPLY=() ;;
    'retention')
      if [[ $cur == -* ]]; then COMPREPLY=($(compgen -W '--help -h' -- "$cur")); return; fi
      COMPREPLY=($(compgen -W 'explain set' -- "$cur")) ;;
    'retention explain')
      case "$prev" in
        --socket) COMPREPLY=($(compgen -f -- "$cur")); return ;;
        --coordinator) COMPREPLY=(); return ;;
        --auth) COMPREPLY=(); return ;;
        --ca) COMPREPLY=($(compgen -f -- "$cur")); return ;;
        --munge-socket) COMPREPLY=($(compgen -f -- "$cur")); return ;;
      esac
      if [[ $cur == -* ]]; then COMPREPLY=($(compgen -W '--json --socket --coordinator --auth --ca --munge-socket --help -h' -- "$cur")); return; fi
      COMPREPLY=($(compgen -W "$(_holdfast_ids jobs)" -- "$cur")) ;;
    'retention set')
      case "$prev" in
        --socket) COMPREPLY=($(compgen -f -- "$cur")); return ;;
        --coordinator) COMPREPLY=(); return ;;
        --auth) COMPREPLY=(); return ;;
        --ca) COMPREPLY=($(compgen -f -- "$cur")); return ;;
        --munge-socket) COMPREPLY=($(compgen -f -- "$cur")); return ;;
      esac
      if [[ $cur == -* ]]; then COMPREPLY=($(compgen -W '--json --socket --coordinator --auth --ca --munge-socket --help -h' -- "$cur")); return; fi
      COMPREPLY=($(compgen -W "$(_holdfast_ids jobs)" -- "$cur")) ;;
    'gc')
      case "$prev" in
        --socket) COMPREPLY=($(compgen -f -- "$cur")); return ;;
        --coordinator) COMPREPLY=(); return ;;
        --auth) COMPREPLY=(); return ;;
        --ca) COMPREPLY=($(compgen -f -- "$cur")); return ;;
        --munge-socket) COMPREPLY=($(compgen -f -- "$cur")); return ;;
      esac
      if [[ $cur == -* ]]; then COMPREPLY=($(compgen -W '--dry-run -n --json --socket --coordinator --auth --ca --munge-socket --help -h' -- "$cur")); return; fi
      COMPREPLY=($(compgen -W "$(_holdfast_ids jobs)" -- "$cur")) ;;
    'usage')
      case "$prev" in
        --socket) COMPREPLY=($(compgen -f -- "$cur")); return ;;
        --coordinator) COMPREPLY=(); return ;;
        --auth) COMPREPLY=(); return ;;
        --ca) COMPREPLY=($(compgen -f -- "$cur")); return ;;
        --munge-socket) COMPREPLY=($(compgen -f -- "$cur")); return ;;
      esac
      if [[ $cur == -* ]]; then COMPREPLY=($(compgen -W '--json --socket --coordinator --auth --ca --munge-socket --help -h' -- "$cur")); return; fi
      COMPREPLY=() ;;
    'slurm')
      if [[ $cur == -* ]]; then COMPREPLY=($(compgen -W '--help -h' -- "$cur")); return; fi
      COMPREPLY=($(compgen -W 'check install jobs tasks track' -- "$cur")) ;;
    'slurm check')
      case "$prev" in
        --conf) COMPREPLY=($(compgen -f -- "$cur")); return ;;
        --to) COMPREPLY=($(compgen -d -- "$cur")); return ;;
      esac
      if [[ $cur == -* ]]; then COMPREPLY=($(compgen -W '--conf --to --json --help -h' -- "$cur")); return; fi
      COMPREPLY=() ;;
    'slurm install')
      case "$prev" in
        --to) COMPREPLY=($(compgen -d -- "$cur")); return ;;
      esac
      if [[ $cur == -* ]]; then COMPREPLY=($(compgen -W '--to --json --help -h' -- "$cur")); return; fi
      COMPREPLY=() ;;
    'slurm jobs')
      case "$prev" in
        --socket) COMPREPLY=($(compgen -f -- "$cur")); return ;;
        --coordinator) COMPREPLY=(); return ;;
        --auth) COMPREPLY=(); return ;;
        --ca) COMPREPLY=($(compgen -f -- "$cur")); return ;;
        --munge-socket) COMPREPLY=($(compgen -f -- "$cur")); return ;;
      esac
      if [[ $cur == -* ]]; then COMPREPLY=($(compgen -W '--json --socket --coordinator --auth --ca --munge-socket --help -h' -- "$cur")); return; fi
      COMPREPLY=() ;;
    'slurm tasks')
      case "$prev" in
        --socket) COMPREPLY=($(compgen -f -- "$cur")); return ;;
        --coordinator) COMPREPLY=(); return ;;
        --auth) COMPREPLY=(); return ;;
        --ca) COMPREPLY=($(compgen -f -- "$cur")); return ;;
        --munge-socket) COMPREPLY=($(compgen -f -- "$cur")); return ;;
      esac
      if [[ $cur == -* ]]; then COMPREPLY=($(compgen -W '--json --socket --coordinator --auth --ca --munge-socket --help -h' -- "$cur")); return; fi
      COMPREPLY=() ;;
    'slurm track')
      case "$prev" in
        --every) COMPREPLY=(); return ;;
        --keep) COMPREPLY=(); return ;;
        --socket) COMPREPLY=($(compgen -f -- "$cur")); return ;;
        --coordinator) COMPREPLY=(); return ;;
        --auth) COMPREPLY=(); return ;;
        --ca) COMPREPLY=($(compgen -f -- "$cur")); return ;;
        --munge-socket) COMPREPLY=($(compgen -f -- "$cur")); return ;;
      esac
      if [[ $cur == -* ]]; then COMPREPLY=($(compgen -W '--every --keep --json --socket --coordinator --auth --ca --munge-socket --help -h' -- "$cur")); return; fi
      COMPREPLY=() ;;
    'catalog')
      if [[ $cur == -* ]]; then COMPREPLY=($(compgen -W '--help -h' -- "$cur")); return; fi
      COMPREPLY=($(compgen -W 'rebuild' -- "$cur")) ;;
    'catalog rebuild')
      case "$prev" in
        --socket) COMPREPLY=($(compgen -f -- "$cur")); return ;;
        --coordinator) COMPREPLY=(); return ;;
        --auth) COMPREPLY=(); return ;;
        --ca) COMPREPLY=($(compgen -f -- "$cur")); return ;;
        --munge-socket) COMPREPLY=($(compgen -f -- "$cur")); return ;;
      esac
      if [[ $cur == -* ]]; then COMPREPLY=($(compgen -W '--json --socket --coordinator --auth --ca --munge-socket --help -h' -- "$cur")); return; fi
      COMPREPLY=() ;;
    'agent')
      case "$prev" in
        --coordinator) COMPREPLY=(); return ;;
        --node) COMPREPLY=(); return ;;
        --address) COMPREPLY=(); return ;;
        --store) COMPREPLY=(); return ;;
        --tls) COMPREPLY=($(compgen -d -- "$cur")); return ;;
        --socket) COMPREPLY=($(compgen -f -- "$cur")); return ;;
        --run-dir) COMPREPLY=($(compgen -d -- "$cur")); return ;;
        --memory-budget) COMPREPLY=(); return ;;
        --local-root) COMPREPLY=($(compgen -d -- "$cur")); return ;;
        --criu) COMPREPLY=($(compgen -f -- "$cur")); return ;;
        --remote-shell) COMPREPLY=($(compgen -f -- "$cur")); return ;;
        --compression) COMPREPLY=($(compgen -W 'auto zstd lz4 shuffle-lz4 none' -- "$cur")); return ;;
        --tracker) COMPREPLY=($(compgen -W 'probe write-protect soft-dirty fingerprint' -- "$cur")); return ;;
        --compression-level) COMPREPLY=(); return ;;
        --max-upload-rate) COMPREPLY=(); return ;;
        --nice) COMPREPLY=(); return ;;
        --encryption-keys) COMPREPLY=($(compgen -d -- "$cur")); return ;;
        --encryption-key-command) COMPREPLY=($(compgen -f -- "$cur")); return ;;
        --metrics) COMPREPLY=(); return ;;
        --log-level) COMPREPLY=(); return ;;
        --config) COMPREPLY=($(compgen -f -- "$cur")); return ;;
      esac
      if [[ $cur == -* ]]; then COMPREPLY=($(compgen -W '--coordinator --node --address --store --tls --insecure-loopback --socket --run-dir --memory-budget --local-root --criu --remote-shell --compression --tracker --compression-level --max-upload-rate --nice --encryption-keys --encryption-key-command --metrics --log-level --config --json --help -h' -- "$cur")); return; fi
      COMPREPLY=($(compgen -W 'check' -- "$cur")) ;;
    'agent check')
      case "$prev" in
        --criu) COMPREPLY=($(compgen -f -- "$cur")); return ;;
        --run-dir) COMPREPLY=($(compgen -d -- "$cur")); return ;;
      esac
      if [[ $cur == -* ]]; then COMPREPLY=($(compgen -W '--json --criu --run-dir --help -h' -- "$cur")); return; fi
      COMPREPLY=() ;;
    'coordinator')
      case "$prev" in
        --listen) COMPREPLY=(); return ;;
        --state-dir) COMPREPLY=($(compgen -d -- "$cur")); return ;;
        --redis) COMPREPLY=(); return ;;
        --store) COMPREPLY=(); return ;;
        --tls) COMPREPLY=($(compgen -d -- "$cur")); return ;;
        --tls-name) COMPREPLY=(); return ;;
        --socket) COMPREPLY=($(compgen -f -- "$cur")); return ;;
        --munge-listen) COMPREPLY=(); return ;;
        --munge-socket) COMPREPLY=($(compgen -f -- "$cur")); return ;;
        --lease) COMPREPLY=(); return ;;
        --leader-lease) COMPREPLY=(); return ;;
        --advertise) COMPREPLY=(); return ;;
        --restart-wait) COMPREPLY=(); return ;;
        --metrics) COMPREPLY=(); return ;;
        --max-checkpoints) COMPREPLY=(); return ;;
        --keep) COMPREPLY=(); return ;;
        --gc-every) COMPREPLY=(); return ;;
        --gc-grace) COMPREPLY=(); return ;;
        --user-quota) COMPREPLY=(); return ;;
        --account-quota) COMPREPLY=(); return ;;
        --audit-log) COMPREPLY=($(compgen -f -- "$cur")); return ;;
        --admins) COMPREPLY=(); return ;;
        --operators) COMPREPLY=(); return ;;
        --ckpt-unpriv-allowed) COMPREPLY=($(compgen -W '0 1 2' -- "$cur")); return ;;
        --user-rate) COMPREPLY=(); return ;;
        --user-operations) COMPREPLY=(); return ;;
        --log-level) COMPREPLY=(); return ;;
        --config) COMPREPLY=($(compgen -f -- "$cur")); return ;;
      esac
      if [[ $cur == -* ]]; then COMPREPLY=($(compgen -W '--listen --state-dir --redis --store --tls --tls-name --insecure-loopback --socket --munge-listen --munge-socket --lease --leader-lease --advertise --restart-wait --metrics --max-checkpoints --keep --gc-every --gc-grace --user-quota --account-quota --audit-log --admins --operators --ckpt-unpriv-allowed --user-rate --user-operations --slurm --log-level --config --json --help -h' -- "$cur")); return; fi
      COMPREPLY=() ;;
    'config')
      if [[ $cur == -* ]]; then COMPREPLY=($(compgen -W '--help -h' -- "$cur")); return; fi
      COMPREPLY=($(compgen -W 'check show' -- "$cur")) ;;
    'config check')
      if [[ $cur == -* ]]; then COMPREPLY=($(compgen -W '--json --help -h' -- "$cur")); return; fi
      COMPREPLY=($(compgen -f -- "$cur")) ;;
    'config show')
      case "$prev" in
        --config) COMPREPLY=($(compgen -f -- "$cur")); return ;;
      esac
      if [[ $cur == -* ]]; then COMPREPLY=($(compgen -W '--config --json --help -h' -- "$cur")); return; fi
      COMPREPLY=($(compgen -W 'agent coordinator' -- "$cur")) ;;
    'ca')
      if [[ $cur == -* ]]; then COMPREPLY=($(compgen -W '--help -h' -- "$cur")); return; fi
      COMPREPLY=($(compgen -W 'init issue rotate revoke list' -- "$cur")) ;;
    'ca init')
      case "$prev" in
        --name) COMPREPLY=(); return ;;
      esac
      if [[ $cur == -* ]]; then COMPREPLY=($(compgen -W '--name --json --help -h' -- "$cur")); return; fi
      COMPREPLY=($(compgen -d -- "$cur")) ;;
    'ca issue')
      case "$prev" in
        --role) COMPREPLY=($(compgen -W 'node coordinator' -- "$cur")); return ;;
        --host) COMPREPLY=($(compgen -W "$(_holdfast_ids nodes)" -- "$cur")); return ;;
        --dir) COMPREPLY=($(compgen -d -- "$cur")); return ;;
        --days) COMPREPLY=(); return ;;
      esac
      if [[ $cur == -* ]]; then COMPREPLY=($(compgen -W '--role --host --dir --days --json --help -h' -- "$cur")); return; fi
      COMPREPLY=() ;;
    'ca rotate')
      case "$prev" in
        --dir) COMPREPLY=($(compgen -d -- "$cur")); return ;;
      esac
      if [[ $cur == -* ]]; then COMPREPLY=($(compgen -W '--finish --dir --json --help -h' -- "$cur")); return; fi
      COMPREPLY=() ;;
    'ca revoke')
      case "$prev" in
        --dir) COMPREPLY=($(compgen -d -- "$cur")); return ;;
      esac
      if [[ $cur == -* ]]; then COMPREPLY=($(compgen -W '--dir --json --help -h' -- "$cur")); return; fi
      COMPREPLY=($(compgen -W 'name serial' -- "$cur")) ;;
    'ca list')
      case "$prev" in
        --dir) COMPREPLY=($(compgen -d -- "$cur")); return ;;
      esac
      if [[ $cur == -* ]]; then COMPREPLY=($(compgen -W '--dir --json --help -h' -- "$cur")); return; fi
      COMPREPLY=() ;;
    'rsh')
      if [[ $cur == -* ]]; then COMPREPLY=($(compgen -W '--help -h' -- "$cur")); return; fi
      COMPREPLY=($(compgen -W "$(_holdfast_ids nodes)" -- "$cur"; compgen -c -- "$cur")) ;;
    'completion')
      if [[ $cur == -* ]]; then COMPREPLY=($(compgen -W '--help -h' -- "$cur")); return; fi
      COMPREPLY=($(compgen -W 'bash zsh fish' -- "$cur")) ;;
    'version')
      if [[ $cur == -* ]]; then COMPREPLY=($(compgen -W '--json --help -h' -- "$cur")); return; fi
      COMPREPLY=() ;;
  esac
}

complete -o filenames -o bashdefault -F _holdfast holdfast
