"""program.py - what the program says of itself: its commands, and the options of each. It is the one source of what the
man pages list and the shells complete."""
import collections
import re
import subprocess

# values: what the help offers in the place of a value, if it lists that; takes: "none", "value" or "maybe" (=VALUE).
Option = collections.namedtuple("Option", "long short takes metavar values text")
# arguments: the words of the usage line behind the command
Command = collections.namedtuple("Command", "name summary help usage arguments options")

_OPTION = re.compile(r"^  (?:-(?P<short>\w), )?--(?P<long>[a-z][a-z-]*)"
                     r"(?P<value>\[=[A-Z]+\]| [A-Z][\w=]*| [a-z]+(?:\|[a-z]+)+)?(?: +(?P<text>\S.*)|$)")
_WORDS = re.compile(r"^((?:[a-z0-9][\w-]*(?: \(default\))?, )*[a-z0-9][\w-]*(?: \(default\))? or [a-z0-9][\w-]*)\b")
# What can stand for these is known without asking anybody.
_METAVARS = {"DEVICE": ["auto", "host", "cuda"]}


def run(program, *arguments):
    return subprocess.run([program, *arguments], check=True, capture_output=True, text=True).stdout


def _values(metavar, text):
    """`wait|drop`, or "nv12, p010 or yuv420p" where the text begins with such a list."""
    if "|" in metavar:
        return metavar.split("|")
    if metavar in _METAVARS:
        return _METAVARS[metavar]
    listed = _WORDS.match(text)
    return re.split(r", | or ", listed[1].replace(" (default)", "")) if listed else []


def parse_options(text):
    """The options of a help text, each once, in its order."""
    found, lines = {}, text.splitlines()
    for at, line in enumerate(lines):
        match = _OPTION.match(line)
        if not match or match["long"] in found:
            continue
        said = [match["text"] or ""]
        for more in lines[at + 1:]:  # it goes on where lines are indented further than options are
            if not re.match(r" {8,}\S", more):
                break
            said.append(more.strip())
        value, sentence = match["value"] or "", " ".join(said).strip()
        metavar = value.strip(" []=")
        takes = "maybe" if value.startswith("[") else "value" if value else "none"
        found[match["long"]] = Option(match["long"], match["short"], takes, metavar, _values(metavar, sentence),
                                      sentence)
        for alias in re.findall(r"\(?also --([a-z][a-z-]+)\)", sentence):
            found.setdefault(alias, found[match["long"]]._replace(long=alias, short=None))
    return list(found.values())


def read_command(program, name, summary):
    text = run(program, name, "--help")
    usage = re.match(r"usage: (.*(?:\n {7}\S.*)*)", text)[1].splitlines()
    usage = [line.strip() for line in usage]
    arguments = usage[0].split()[2:]
    return Command(name, summary, text, usage, arguments, parse_options(text))


def read(program):
    """The commands as `cuframes help` lists them."""
    part = run(program, "help").split("Commands:\n")[1].split("\n\n")[0]
    listed = re.findall(r"^  ([a-z][\w-]*) +(\S.*)$", part, re.M)
    return [read_command(program, name, summary) for name, summary in listed if name not in ("help", "version")]


def version(program):
    return run(program, "version").split()[1]
