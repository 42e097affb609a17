# bash completion for obit(1)                              -*- shell-script -*-

_obit() {
  local cur prev words cword
  _init_completion || return

  local verbs="list show groups dump gdb lldb analyze import rm vacuum pin unpin reindex enable disable status doctor config"
  local verb="" store=() i
  for ((i = 1; i < cword; i++)); do
    case ${words[i]} in
      --store)
        store=(--store "${words[i + 1]}")
        ((i++))
        ;;
      -*) ;;
      *)
        verb=${words[i]}
        break
        ;;
    esac
  done

  case $prev in
    --store | --debug-directory)
      _filedir -d
      return
      ;;
    -o | --output | --socket | --pipe-socket | --config)
      _filedir
      return
      ;;
    --transport)
      COMPREPLY=($(compgen -W "auto request socket pipe" -- "$cur"))
      return
      ;;
    --environment)
      COMPREPLY=($(compgen -W "none allow-list all" -- "$cur"))
      return
      ;;
  esac

  if [[ -z $verb ]]; then
    COMPREPLY=($(compgen -W "$verbs --store --help --version" -- "$cur"))
    return
  fi
  if [[ $cur == -* ]]; then
    COMPREPLY=($(compgen -W "$(obit "$verb" --help 2>/dev/null | sed -nE 's/^ +(-[a-z],)?(--[a-z][a-z-]*).*/\2/p')" -- "$cur"))
    return
  fi
  case $verb in
    list | show | dump | gdb | lldb | analyze | rm | pin | unpin)
      # Ids and names of programs; what has odd characters in it is left out.
      COMPREPLY=($(compgen -W "$(obit "${store[@]}" list --json --last 200 2>/dev/null |
        sed -nE 's/^ *"(id|comm)": "([A-Za-z0-9._+-]+)",?$/\2/p' | sort -u)" -- "$cur"))
      ;;
    import) _filedir ;;
  esac
} && complete -F _obit obit
