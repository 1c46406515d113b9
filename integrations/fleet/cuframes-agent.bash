# bash completion for cuframes-agent: commands, and options as its --help lists them.
_cuframes_agent() {
  local word=$2 before=$3
  case $before in
    --credentials | --ca | --certificate | --key | --publisher | put)
      compopt -o filenames
      mapfile -t COMPREPLY < <(compgen -f -- "$word")
      return
      ;;
    --dir | --state)
      compopt -o filenames
      mapfile -t COMPREPLY < <(compgen -d -- "$word")
      return
      ;;
    --nats | --fleet | --ttl | --replicas | --node | --cameras | --decoders | --label | --address | --balance) return ;;
  esac
  if [[ $word == -* ]]; then
    mapfile -t COMPREPLY < <(compgen -W "$("$1" --help | grep -o -- '--[a-z-]*' | sort -u)" -- "$word")
  else
    mapfile -t COMPREPLY < <(compgen -W "run put get rm status" -- "$word")
  fi
}
complete -F _cuframes_agent cuframes-agent
