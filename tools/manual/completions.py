#!/usr/bin/env python3
"""completions.py PROGRAM OUT - what bash, zsh and fish need to complete PROGRAM's commands and options, made of its
own help: OUT/bash/cuframes, OUT/zsh/_cuframes and OUT/fish/cuframes.fish. Streams are asked of `cuframes list` when
somebody presses the key."""
import os
import sys

import program as prog

FILES, DIRECTORIES = ("FILE", "PATH"), ("DIR",)
OWN = [("help", "the commands, or the options of one"), ("version", "the version")]


def short_text(text, most=70):
    """The beginning of what an option means."""
    text = text.split("; ")[0].rstrip(".:,;")
    return text if len(text) <= most else text[:most].rsplit(" ", 1)[0].rstrip(".:,;") + "..."


def kind_of_value(option):
    """What can stand for an option's value: files, directories, words or anything."""
    if option.metavar in DIRECTORIES:
        return "directories"
    if option.metavar in FILES:
        return "files"
    return "words" if option.values else "anything"


def takes_streams(command):
    return any(word.strip("[].") == "NAME" for word in command.arguments[:1])


def takes_many_streams(command):
    return any("NAME..." in word for word in command.arguments)


def takes_files(command):
    return any(word.strip("[].") in ("FILE", "INPUT") for word in command.arguments)


def names_stream(command, option):
    """--name: of `publish` the name is new."""
    return option.long == "name" and takes_streams(command)


# --- bash ---

BASH = r'''# bash completion for cuframes, made of its --help.

# The streams of the directory that the line names, one in a line.
_cuframes_streams() {
  local -a where=()
  local i
  for ((i = 1; i < ${#COMP_WORDS[@]} - 1; i++)); do
    if [[ ${COMP_WORDS[i]} == --dir ]]; then
      [[ ${COMP_WORDS[i + 1]} == = ]] && ((i++))
      where=(--dir "${COMP_WORDS[i + 1]}")
    fi
  done
  "${COMP_WORDS[0]}" list "${where[@]}" 2> /dev/null < /dev/null | while read -r name _; do
    [[ $name == NAME ]] || printf '%s\n' "$name"
  done
}

# What begins like the word under the cursor: _cuframes_offer KIND [WORD...]
_cuframes_offer() {
  case $1 in
    files) compopt -o filenames; mapfile -t COMPREPLY < <(compgen -f -- "$word") ;;
    directories) compopt -o filenames; mapfile -t COMPREPLY < <(compgen -d -- "$word") ;;
    streams) mapfile -t COMPREPLY < <(compgen -W "$(_cuframes_streams)" -- "$word") ;;
    words) shift; mapfile -t COMPREPLY < <(compgen -W "$*" -- "$word") ;;
    anything) COMPREPLY=() ;;
  esac
}

# What kind of value an option takes, as of _cuframes_offer, "none" or "maybe": _cuframes_value COMMAND OPTION
_cuframes_value() {
  case $1/$2 in
@VALUES@
    *) echo none ;;
  esac
}

_cuframes_options() {
  case $1 in
@OPTIONS@
  esac
}

# What stands beside options: the first argument, and those behind it.
_cuframes_arguments() {
  case $1 in
@ARGUMENTS@
  esac
}

_cuframes() {
  local word=$2 command=${COMP_WORDS[1]:-} before=${COMP_WORDS[COMP_CWORD - 1]} kind i arguments=0
  COMPREPLY=()
  if ((COMP_CWORD == 1)); then
    _cuframes_offer words @COMMANDS@ help version --help --version
    return
  fi
  if [[ $command == help ]]; then
    ((COMP_CWORD > 2)) || _cuframes_offer words @COMMANDS@
    return
  fi
  # bash takes --option=value apart at the =, which is a word then.
  if [[ $word == = || $before == = ]]; then
    [[ $word == = ]] && word='' i=$((COMP_CWORD - 1)) || i=$((COMP_CWORD - 2))
    read -ra kind <<< "$(_cuframes_value "$command" "${COMP_WORDS[i]}")"
    _cuframes_offer "${kind[@]}"
    return
  fi
  read -ra kind <<< "$(_cuframes_value "$command" "$before")"
  if [[ $before == -* && ${kind[0]} != none && ${kind[0]} != maybe ]]; then
    _cuframes_offer "${kind[@]}"
    return
  fi
  if [[ $word == -* ]]; then
    read -ra kind <<< "$(_cuframes_options "$command")"
    _cuframes_offer words "${kind[@]}"
    return
  fi
  for ((i = 2; i < COMP_CWORD; i++)); do
    if [[ ${COMP_WORDS[i]} == -* ]]; then
      read -ra kind <<< "$(_cuframes_value "$command" "${COMP_WORDS[i]}")"
      if [[ ${COMP_WORDS[i + 1]} == = ]]; then
        ((i += 2))
      elif [[ ${kind[0]} != none && ${kind[0]} != maybe ]]; then
        ((i++))
      fi
    else
      ((arguments++))
    fi
  done
  read -ra kind <<< "$(_cuframes_arguments "$command")"
  ((arguments < ${#kind[@]})) || arguments=$((${#kind[@]} - 1))
  ((arguments < 0)) || _cuframes_offer "${kind[arguments]}"
}

complete -F _cuframes cuframes
'''


def bash_values(commands):
    lines = []
    for command in commands:
        groups = {}
        for option in command.options:
            kind = "maybe" if option.takes == "maybe" else "none" if option.takes == "none" else kind_of_value(option)
            if names_stream(command, option):
                kind = "streams"
            said = " ".join([kind, *option.values]) if kind == "words" else kind
            names = ["--" + option.long] + (["-" + option.short] if option.short else [])
            groups.setdefault(said, []).extend(f"{command.name}/{name}" for name in names)
        for said, names in groups.items():
            if said != "none":
                lines.append("    " + " | ".join(names) + f") echo {said} ;;")
    return "\n".join(lines)


def options_of(command):
    return " ".join(["--" + option.long for option in command.options] +
                    ["-" + option.short for option in command.options if option.short])


def argument_kinds(command):
    """Of the first argument, of the second and all later ones."""
    if takes_many_streams(command):
        return "streams"
    if takes_streams(command):
        return "streams files" if takes_files(command) else "streams anything"
    return "files" if takes_files(command) else "anything"


def bash(commands):
    text = BASH.replace("@COMMANDS@", " ".join(command.name for command in commands))
    text = text.replace("@VALUES@", bash_values(commands))
    text = text.replace("@OPTIONS@", "\n".join(f"    {c.name}) echo {options_of(c)} ;;" for c in commands))
    return text.replace("@ARGUMENTS@", "\n".join(f"    {c.name}) echo {argument_kinds(c)} ;;" for c in commands))


# --- zsh ---

ZSH = r'''#compdef cuframes
# zsh completion for cuframes, made of its --help.

# The streams of the directory that the line names.
_cuframes_streams() {
  local -a where names
  local i
  for ((i = 2; i < $#words; i++)); do
    case $words[i] in
      --dir) where=(--dir $words[i+1]) ;;
      --dir=*) where=($words[i]) ;;
    esac
  done
  names=(${${(f)"$(_call_program streams ${(q)words_command} list ${(q)where} 2> /dev/null)"}[2,-1]%% *})
  _wanted streams expl stream compadd -a names
}

_cuframes() {
  local words_command=$words[1] curcontext=$curcontext state line
  local -a commands
  commands=(
@COMMANDS@
  )
  if ((CURRENT == 2)); then
    _describe -t commands command commands
    return
  fi
  case $words[2] in
    help) ((CURRENT > 3)) || _describe -t commands command commands ;;
@CASES@
  esac
}

_cuframes "$@"
'''


def zsh_quote(text):
    return text.replace("\\", "\\\\").replace("'", "'\\''").replace("[", "\\[").replace("]", "\\]").replace(":", "\\:")


def zsh_value(command, option):
    if option.takes == "none":
        return ""
    if names_stream(command, option):
        return ":stream:_cuframes_streams"
    action = {"files": "_files", "directories": "_files -/", "anything": " ",
              "words": "(" + " ".join(option.values) + ")"}[kind_of_value(option)]
    return f"{':' if option.takes == 'maybe' else ''}:{zsh_quote(option.metavar)}:{action}"


def zsh_option(command, option):
    mark = {"none": "", "maybe": "=-", "value": "="}[option.takes]
    said = zsh_quote(short_text(option.text))
    value = zsh_value(command, option)
    lines = [f"'*--{option.long}{mark}[{said}]{value}'"]
    if option.short:
        lines.append(f"'*-{option.short}{'+' if option.takes != 'none' else ''}[{said}]{value}'")
    return lines


def zsh_case(command):
    action = {"streams": "_cuframes_streams", "files": "_files", "anything": " "}
    kinds = argument_kinds(command).split()
    arguments = [f"'*:argument:{action[kinds[-1]]}'"]
    if len(kinds) > 1:
        arguments = [f"'1:stream:{action[kinds[0]]}'", *arguments]
    lines = [line for option in command.options for line in zsh_option(command, option)] + arguments
    return (f"    {command.name})\n      shift words\n      ((CURRENT--))\n      _arguments -S \\\n        " +
            " \\\n        ".join(lines) + "\n      ;;")


def zsh(commands):
    listed = [(command.name, command.summary) for command in commands] + OWN
    text = ZSH.replace("@COMMANDS@", "\n".join(f"    '{name}:{zsh_quote(said)}'" for name, said in listed))
    return text.replace("@CASES@", "\n".join(zsh_case(command) for command in commands))


# --- fish ---

FISH = r'''# fish completion for cuframes, made of its --help.

# The streams of the directory that the line names.
function __cuframes_streams
    set -l words (commandline -opc)
    set -l where
    for i in (seq (count $words))
        if test "$words[$i]" = --dir; and test $i -lt (count $words)
            set where --dir $words[(math $i + 1)]
        else if string match -q -- '--dir=*' $words[$i]
            set where $words[$i]
        end
    end
    command $words[1] list $where 2>/dev/null | string match -rv '^NAME ' | string replace -r ' .*' ''
end

# Whether the line has this command.
function __cuframes_is
    set -l words (commandline -opc)
    test (count $words) -ge 2; and contains -- $words[2] $argv
end

complete -c cuframes -f
complete -c cuframes -n 'test (count (commandline -opc)) -eq 1' -l help -d 'the commands'
complete -c cuframes -n 'test (count (commandline -opc)) -eq 1' -l version -d 'the version'
'''


def fish_quote(text):
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"


def fish_option(command, option):
    parts = ["complete -c cuframes -n", fish_quote("__cuframes_is " + command.name), "-l " + option.long]
    if option.short:
        parts.append("-s " + option.short)
    if option.takes == "value":
        kind = "streams" if names_stream(command, option) else kind_of_value(option)
        parts.append({"files": "-r -F", "directories": "-x -a '(__fish_complete_directories)'", "anything": "-x",
                      "streams": "-x -a '(__cuframes_streams)'",
                      "words": "-x -a " + fish_quote(" ".join(option.values))}[kind])
    parts.append("-d " + fish_quote(short_text(option.text)))
    return " ".join(parts)


def fish(commands):
    lines = [FISH]
    names = " ".join(command.name for command in commands)
    for name, said in [(command.name, command.summary) for command in commands] + OWN:
        lines.append("complete -c cuframes -n 'test (count (commandline -opc)) -eq 1' "
                     f"-a {name} -d {fish_quote(said)}")
    lines.append(f"complete -c cuframes -n '__cuframes_is help' -a {fish_quote(names)}")
    for command in commands:
        kinds = argument_kinds(command).split()
        condition = fish_quote("__cuframes_is " + command.name)
        if "streams" in kinds:
            lines.append(f"complete -c cuframes -n {condition} -a '(__cuframes_streams)' -d stream")
        if "files" in kinds:
            lines.append(f"complete -c cuframes -n {condition} -F")
        lines += [fish_option(command, option) for option in command.options]
    return "\n".join(lines) + "\n"


def main():
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    commands = prog.read(sys.argv[1])
    for name, text in (("bash/cuframes", bash(commands)), ("zsh/_cuframes", zsh(commands)),
                       ("fish/cuframes.fish", fish(commands))):
        path = os.path.join(sys.argv[2], name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)


if __name__ == "__main__":
    main()
