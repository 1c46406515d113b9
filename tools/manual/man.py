#!/usr/bin/env python3
"""man.py PROGRAM SOURCE-DIRECTORY OUT - man pages of the program, of each command and of the library, made of
docs/cli.md, docs/api/README.md and what PROGRAM says in `help`, by scdoc. They come to OUT/man1 and OUT/man3, and what
was there goes.

The documents are Markdown; of that this knows what they use: headings, paragraphs, lists, tables, code, emphasis and
links. A table becomes a list, in which its first column stands above the others: terminals are too narrow for sentences
side by side."""
import os
import re
import shutil
import subprocess
import sys

import program as prog

_SPAN = re.compile(r"``?(?P<code>[^`]+)``?|\*\*(?P<bold>[^*]+)\*\*|!?\[(?P<text>[^\]]*)\]\((?P<target>[^)]*)\)"
                   r"|</?[a-z][^>]*>|(?P<plain>[^`*\[<!]+|.)", re.S)


def escape(text):
    return re.sub(r"([\\*_#\[\]|~`+<>.-])", r"\\\1", text)


class Page:
    """Lines of scdoc. `links` gives the man page that an anchor of the document is on."""

    def __init__(self, name, section, links, version):
        self.name, self.links = name, links
        self.lines = [f'{name}({section}) "" "cuframes {version}"', ""]

    def text(self, line):
        self.lines.append(line)

    def heading(self, depth, text):
        text = re.sub(r"`|\*\*", "", text)
        self.lines += ["#" * min(depth, 2) + " " + (text.upper() if depth == 1 else text), ""]

    def inline(self, text):
        """Markdown within a paragraph."""
        out = ""
        for match in _SPAN.finditer(" ".join(text.split())):
            if match["code"]:
                out += "*" + escape(match["code"].strip()) + "*"
            elif match["bold"]:
                out += "*" + escape(re.sub(r"`", "", match["bold"])) + "*"
            elif match["target"] is not None:
                out += self.link(match["text"], match["target"])
            elif match["plain"]:
                out += escape(match["plain"])
        return out

    def link(self, text, target):
        plain = re.sub(r"`|\*\*", "", text)
        page = self.links.get(target[1:]) if target.startswith("#") else None
        if page and page != self.name:
            named = f"*{escape(page)}*(1)"
            return named if page == "cuframes-" + plain else f"{escape(plain)} ({named})"
        file = target if "://" in target else os.path.basename(target.split("#")[0])
        return escape(plain if target.startswith("#") or file == os.path.basename(plain) else f"{plain} ({file})")

    def paragraph(self, text, indent=""):
        self.lines += [indent + self.inline(text), ""]

    def literal(self, lines):
        self.lines += ["```", *lines, "```", ""]

    def table(self, rows):
        """The first column's cells, and below each what stands beside it, named by its column if there are several."""
        head = rows[0]
        for row in rows[1:]:
            # In all tables of options the second column is what the option means.
            said = [f"{name}: {cell}" if name and len(head) > 2 and name != "meaning" else cell
                    for name, cell in zip(head[1:], row[1:]) if cell]
            said = [part[:1].upper() + part[1:] if at else part for at, part in enumerate(said)]
            self.lines.append(self.inline(row[0]) or "\\-")
            if said:
                self.lines.append("\t" + self.inline(". ".join(part.rstrip(".") for part in said)))
            self.lines.append("")

    def result(self):
        return re.sub(r"\n{3,}", "\n\n", "\n".join(self.lines)).strip() + "\n"


def cells(line):
    """The cells of a row of a table."""
    parts = re.split(r"(?<!\\)\|", re.sub(r"^\||\|$", "", line.strip()))
    return [part.strip().replace("\\|", "|") for part in parts]


def blocks(text):
    """Markdown as (kind, content): heading (depth, text), code, table, list, text."""
    lines, at = text.splitlines(), 0
    while at < len(lines):
        line, begin = lines[at], at
        if not line.strip():
            at += 1
        elif line.startswith("```"):
            at = next(i for i in range(at + 1, len(lines)) if lines[i].startswith("```")) + 1
            yield "code", lines[begin + 1:at - 1]
        elif line.startswith("    "):
            while at < len(lines) and (lines[at].startswith("    ") or not lines[at].strip()):
                at += 1
            yield "code", [item[4:] for item in lines[begin:at]]
        elif re.match(r"#+ ", line):
            at += 1
            yield "heading", (len(line.split()[0]), line.split(" ", 1)[1])
        elif line.startswith("|"):
            while at < len(lines) and lines[at].startswith("|"):
                at += 1
            yield "table", [cells(item) for item in lines[begin:at] if not re.match(r"^[|: -]+$", item)
                            or item == lines[begin]]
        elif re.match(r"(-|\d+\.) ", line):
            while at < len(lines) and lines[at].strip():
                at += 1
            yield "list", re.split(r"^(?:-|\d+\.) ", "\n".join(lines[begin:at]), flags=re.M)[1:]
        else:
            while at < len(lines) and lines[at].strip() and not re.match(r"```|#+ |\||- ", lines[at]):
                at += 1
            yield "text", "\n".join(lines[begin:at])


def write_document(page, text, depth):
    """The document's headings of `depth` become the page's subsections."""
    for kind, content in blocks(text):
        if kind == "heading":
            page.heading(content[0] - depth + 2, content[1])
        elif kind == "code":
            while content and not content[-1].strip():
                content.pop()
            page.literal(content)
        elif kind == "table":
            page.table(content)
        elif kind == "list":
            for item in content:
                page.text("- " + page.inline(item))
            page.text("")
        else:
            page.paragraph(content)


def sections(text, mark="## "):
    """What comes before the first heading of that depth, and {heading: text}."""
    parts = re.split(rf"^{mark}(.+)$", text, flags=re.M)
    return parts[0], dict(zip(parts[1::2], parts[2::2]))


def usage_line(line):
    """A line of usage: what is typed as it is in bold, what stands for something underlined."""
    return re.sub(r"[A-Za-z][\w-]*|-+[a-z][\w-]*|[^A-Za-z-]+|-", lambda m: (
        f"*{escape(m[0])}*" if re.match(r"-*[a-z]", m[0]) else
        f"_{escape(m[0])}_" if re.match(r"[A-Z]", m[0]) else escape(m[0])), line)


def synopsis(page, usage):
    page.heading(1, "synopsis")
    for line in usage:
        page.text(usage_line(line) + ("++" if line != usage[-1] else ""))
    page.text("")


def see_also(page, others):
    page.heading(1, "see also")
    page.text(", ".join(f"*{escape(name)}*({section})" for name, section in others))


def command_page(command, text, pages, links, version):
    page = Page("cuframes-" + command.name, 1, links, version)
    page.heading(1, "name")
    page.text(escape(f"cuframes-{command.name} - {command.summary}").replace("\\-", "-"))
    page.text("")
    synopsis(page, command.usage)
    page.heading(1, "description")
    if text is None:  # not described yet: what it says itself
        page.literal(command.help.splitlines())
    else:
        # The synopsis that the section begins with is there already.
        write_document(page, re.sub(r"\A\s*(?:^    .*\n)+", "", text, flags=re.M), 3)
    see_also(page, [("cuframes", 1)] + [(f"cuframes-{other.name}", 1) for other in pages if other is not command])
    return page.result()


def program_page(commands, intro, links, version):
    page = Page("cuframes", 1, links, version)
    # Without the title, the synopsis and the list of sections. What a test does is for who reads the document.
    paragraphs = [part for part in intro.split("\n\n") if not re.match(r"\s*(# |    |\[\w+\]\(#)", part)]
    page.heading(1, "name")
    page.text("cuframes - video frames and packets shared between processes")
    page.text("")
    synopsis(page, ["cuframes COMMAND [ARGUMENTS]"])
    page.heading(1, "description")
    page.paragraph("Decodes a video stream once and publishes it under a name; any number of processes read its frames "
                   "where they lie, and its encoded packets beside them. " + re.split(r"\s+A test\s", paragraphs[0])[0])
    page.heading(1, "commands")
    for command in commands:
        page.text(f"*{escape('cuframes-' + command.name)}*(1)")
        page.text("\t" + escape(command.summary))
        page.text("")
    page.heading(1, "in all commands")
    write_document(page, "\n\n".join(paragraphs[1:]), 3)
    see_also(page, [("libcuframes", 3)] + [(f"cuframes-{command.name}", 1) for command in commands])
    return page.result()


def library_page(text, links, version):
    page = Page("libcuframes", 3, links, version)
    page.heading(1, "name")
    page.text("libcuframes - video frames and packets shared between processes, for C and C\\+\\+ programs")
    page.text("")
    page.heading(1, "synopsis")
    page.literal(["#include <cuframes/cuframes.h>", "", "cc ... $(pkg-config --cflags --libs cuframes)"])
    intro, parts = sections(text)
    page.heading(1, "description")
    write_document(page, intro.split("\n", 1)[1], 3)
    for heading, part in parts.items():
        page.heading(1, heading)
        write_document(page, part, 3)
    see_also(page, [("cuframes", 1)])
    return page.result()


def read(path):
    with open(path, encoding="utf-8") as file:
        return file.read()


def anchors(parts):
    """Which page each heading of docs/cli.md is on, by its anchor."""
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-"): "cuframes-" + name
            for name, text in parts.items() for heading in [name] + re.findall(r"^#+ (.+)$", text, re.M)}


def main():
    if len(sys.argv) != 4:
        sys.exit(__doc__)
    program, source, out = sys.argv[1:]
    commands, version = prog.read(program), prog.version(program)
    document = os.path.join(source, "docs", "cli.md")
    intro, parts = sections(read(document))
    links = anchors(parts)
    pages = {"man1/cuframes.1": program_page(commands, intro, links, version),
             "man3/libcuframes.3": library_page(read(os.path.join(source, "docs", "api", "README.md")), {}, version)}
    for command in commands:
        text = parts.get(command.name)
        pages[f"man1/cuframes-{command.name}.1"] = command_page(command, text, commands, links, version)
    # The date that a page shows is that of its source, so that the same sources give the same page.
    env = dict(os.environ)
    env.setdefault("SOURCE_DATE_EPOCH", str(int(os.stat(document).st_mtime)))
    shutil.rmtree(out, ignore_errors=True)
    for name, text in pages.items():
        os.makedirs(os.path.dirname(os.path.join(out, name)), exist_ok=True)
        done = subprocess.run(["scdoc"], input=text.encode(), capture_output=True, env=env)
        if done.returncode != 0 or done.stderr:
            sys.exit(f"man.py: {name}: scdoc: {done.stderr.decode().strip()}")
        with open(os.path.join(out, name), "wb") as file:
            file.write(done.stdout)


if __name__ == "__main__":
    main()
