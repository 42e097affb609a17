# bash completion for obit(1)                              -*- shell-script -*-

_obit() {
  local cur prev words cword
  _init_completion || return

  local verbs="list show groups dump gdb lldb analyze import rm vacuum pin unpin release reindex enable disable status doctor config rule"
  local verb="" verb_and_more=() store=() i
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
    --dump-mode)
      COMPREPLY=($(compgen -W "user root" -- "$cur"))
      return
      ;;
    --exe)
      _filedir
      return
      ;;
    --user)
      COMPREPLY=($(compgen -u -- "$cur"))
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
  verb_and_more=("$verb")
  if [[ $verb == rule ]]; then
    verb_and_more=(rule test)
    if [[ " ${words[*]:i+1:cword-i-1} " != *" test "* ]]; then
      COMPREPLY=($(compgen -W "test --help" -- "$cur"))
      return
    fi
  fi
  if [[ $cur == -* ]]; then
    COMPREPLY=($(compgen -W "$(obit "${verb_and_more[@]}" --help 2>/dev/null | sed -nE 's/^ +(-[a-z],)?(--[a-z][a-z-]*).*/\2/p')" -- "$cur"))
    return
  fi
  case $verb in
    list | show | dump | gdb | lldb | analyze | rm | pin | unpin | rule)
      # Ids and names of programs; what has odd characters in it is left out.
      COMPREPLY=($(compgen -W "$(obit "${store[@]}" list --json --last 200 2>/dev/null |
        sed -nE 's/^ *"(id|comm)": "([A-Za-z0-9._+-]+)",?$/\2/p' | sort -u)" -- "$cur"))
      ;;
    import) _filedir ;;
  esac
} && complete -F _obit obit
