#!/usr/bin/env python3
"""test_manual.py - man pages and completions, which are made of the help, have all that the help has; and the shells,
run here on a terminal, offer it."""
import glob
import os
import pty
import re
import select
import subprocess

import harness
from harness import check

LONG = re.compile(r"--[a-z][a-z-]*[a-z]")
BEGINS = re.compile(r"^ +(?:-\w, )?(--[a-z][a-z-]*[a-z])", re.M)
NEEDED = {"grid": ["a", "--output", "b", "--duration", "0.01"], "record": ["a", "a.mp4"], "snapshot": ["a", "a.png"],
          "publish": ["test:64x48@5", "--name", "a", "--duration", "0.01"]}
END = "END-OF-LINE"


def commands(s):
    listed = re.findall(r"^  ([a-z][a-z-]*)  ", s.run("help").out, re.M)
    return [name for name in listed if name not in ("help", "version")]


def pages():
    harness.need_program("scdoc")  # without it none are made
    return harness.need_built("manual", "man")


def text_of(page):
    """A page without what roff needs."""
    with open(page, encoding="utf-8") as file:
        return re.sub(r"\\f[BIR]|\\&", "", file.read()).replace("\\-", "-")


def test_each_command_has_a_page(s):
    found = {os.path.basename(path) for path in glob.glob(os.path.join(pages(), "man1", "*"))}
    wanted = {"cuframes.1"} | {"cuframes-%s.1" % name for name in commands(s)}
    check(found == wanted, "pages %s, commands %s", sorted(found), sorted(wanted))
    check(os.path.exists(os.path.join(pages(), "man3", "libcuframes.3")), "no page of the library")


def test_pages_have_every_option(s):
    for name in commands(s):
        missing = set(LONG.findall(s.run(name, "--help").out)) - set(
            LONG.findall(text_of(os.path.join(pages(), "man1", "cuframes-%s.1" % name))))
        check(not missing, "cuframes-%s(1) lacks %s", name, sorted(missing))


def test_pages_are_right(s):
    """No page makes groff complain, and whatis(1) finds a name and a description in each."""
    groff = harness.need_program("groff")
    for path in glob.glob(os.path.join(pages(), "man*", "*")):
        done = subprocess.run([groff, "-man", "-ww", "-z", "-Tutf8", "-Kutf8", path], capture_output=True, text=True)
        check(done.returncode == 0 and not done.stderr, "%s: %s", path, done.stderr[:500])
        with open(path, encoding="utf-8") as file:
            name = re.search(r"\.SH NAME\n(?:\.P\n)?(\S+) (?:\\?-) (\S.*)", file.read())
        check(name and name[1] == os.path.basename(path).rsplit(".", 1)[0], "%s has no name", path)


class Terminal:
    """A shell on a terminal. ask() types the beginning of a line and the key that puts in all that could come next, and
    gives these words."""

    def __init__(self, argv, env, directory, *setup):
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            try:
                os.chdir(directory)
                os.execvpe(argv[0], argv, env)
            finally:
                os._exit(127)
        self.seen = ""
        for line in setup:
            self.type(line + "\n")
        self.type("echo READY-''NOW\n")
        self.wait("READY-NOW")

    def type(self, text):
        os.write(self.fd, text.encode())

    def wait(self, text):
        deadline = harness.Deadline()
        while text not in self.seen:
            check(select.select([self.fd], [], [], deadline.left())[0], "%r did not come; the terminal: %s", text,
                  self.seen[-2000:])
            try:
                self.seen += os.read(self.fd, 65536).decode("utf-8", "replace")
            except OSError:
                check(False, "the shell has ended: %s", self.seen[-2000:])
        before, self.seen = self.seen.split(text, 1)
        return before

    def ask(self, line, key):
        """The words that the shell puts in the place of the last one."""
        self.type("%s%s\x01echo BEGIN-OF-''LINE \x05 %s''\n" % (line, key, END[:4] + "''" + END[4:]))
        self.wait("BEGIN-OF-LINE")
        words = self.wait(END).split()
        return words[len(line.split()) - (0 if line.endswith(" ") else 1):]

    def close(self):
        os.close(self.fd)  # which hangs up
        os.waitpid(self.pid, 0)


def bash(s):
    shell = harness.need_program("bash")
    file = harness.need_built("manual", "completions", "bash", "cuframes")
    s.env["PATH"] = os.pathsep.join([os.path.dirname(harness.program()), s.env["PATH"]])
    env = dict(s.env, PS1="", TERM="dumb", HISTFILE="/dev/null", INPUTRC="/dev/null")
    terminal = Terminal([shell, "--norc", "--noprofile", "-i"], env, s.root, "bind 'set enable-bracketed-paste off'",
                        "shopt -u progcomp_alias", "source " + file, "stty columns 30000 -echo")
    s.at_end(terminal.close)
    return lambda line: terminal.ask(line, "\x1b*")


def zsh(s):
    shell = harness.need_program("zsh")
    directory = os.path.dirname(harness.need_built("manual", "completions", "zsh", "_cuframes"))
    s.env["PATH"] = os.pathsep.join([os.path.dirname(harness.program()), s.env["PATH"]])
    env = dict(s.env, PS1="", TERM="dumb", HOME=s.root, ZDOTDIR=s.root)
    terminal = Terminal(
        [shell, "-f", "-i"], env, s.root, "unsetopt prompt_cr prompt_sp; unset zle_bracketed_paste",
        "fpath=(%s $fpath)" % directory, "autoload -Uz compinit && compinit -u -D",
        "zstyle ':completion:all:*' insert yes", "zstyle ':completion:all::::' completer _all_matches _complete",
        "zle -C all complete-word _generic", "bindkey -e", "bindkey '^X' all", "stty columns 30000 -echo")
    s.at_end(terminal.close)
    return lambda line: terminal.ask(line, "\x18")


def fish(s):
    shell = harness.need_program("fish")
    file = harness.need_built("manual", "completions", "fish", "cuframes.fish")
    s.env["PATH"] = os.pathsep.join([os.path.dirname(harness.program()), s.env["PATH"]])
    env = dict(s.env, HOME=s.root)

    def ask(line):
        done = subprocess.run([shell, "--no-config", "-c", "source %s; complete -C '%s'" % (file, line)],
                              capture_output=True, text=True, env=env, cwd=s.root)
        check(not done.stderr, "fish: %s", done.stderr)
        return [offer.split("\t")[0] for offer in done.stdout.splitlines()]
    return ask


def check_shell(s, ask):
    """Commands, all options of each, streams that are there, and words that stand for a value."""
    names = commands(s)
    offered = {word for word in ask("cuframes ") if not word.startswith("-")}
    check(offered == set(names) | {"help", "version"}, "commands offered: %s", sorted(offered))
    for name in names:
        said = s.run(name, "--help").out
        offered = {word.split("=")[0] for word in ask("cuframes %s --" % name) if word.startswith("--")}
        check(set(BEGINS.findall(said)) <= offered <= set(LONG.findall(said)), "%s: the help has %s, offered is %s",
              name, sorted(BEGINS.findall(said)), sorted(offered))
    s.publish("test:64x48@5", "door-1")
    s.publish("test:64x48@5", "gate.2")
    other = s.path("other")
    os.mkdir(other, 0o700)
    for line in ("cuframes info ", "cuframes verify --duration 3 ", "cuframes top door-1 "):
        check(sorted(ask(line)) == ["door-1", "gate.2"], "%r: %s", line, ask(line))
    check(ask("cuframes snapshot do") == ["door-1"], "of what begins with do: %s", ask("cuframes snapshot do"))
    check("door-1" not in ask("cuframes info --dir %s " % other), "streams of another directory are offered")
    check(sorted(ask("cuframes verify door-1 --mode ")) == ["newest", "ordered"], "--mode: %s",
          ask("cuframes verify door-1 --mode "))
    check([word.split("=")[-1] for word in ask("cuframes verify door-1 --device=ho")] == ["host"], "--device=ho: %s",
          ask("cuframes verify door-1 --device=ho"))
    with open(s.path("film.mp4"), "w"):
        check("film.mp4" in ask("cuframes publish fi"), "no file for publish: %s", ask("cuframes publish fi"))


def test_bash(s):
    check_shell(s, bash(s))


def test_zsh(s):
    check_shell(s, zsh(s))


def test_fish(s):
    check_shell(s, fish(s))


def test_values_are_taken(s):
    """Words that are offered for a value are some. Of a command that wants more than a stream's name (NEEDED) only what
    it says of the word counts."""
    with open(harness.need_built("manual", "completions", "bash", "cuframes"), encoding="utf-8") as file:
        rows = re.findall(r"^    (\S+/--?\S+(?: \| \S+)*)\) echo words (.*) ;;$", file.read(), re.M)
    count = 0
    for names, words in rows:
        for command, option in (name.split("/") for name in names.split(" | ")):
            for word in words.split():
                arguments = NEEDED.get(command, ["a"])
                result = s.run(command, *arguments, option, word)
                named = re.search(r"[ '\"]%s(\W|$)" % re.escape(word), result.err)
                check(result.code != harness.USAGE or not named, "%s %s %s: %s", command, option, word, result.err)
                count += 1
    check(count > 20, "only %s words", count)


if __name__ == "__main__":
    harness.main(globals())
