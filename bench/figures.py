"""The figures of docs/benchmarks.md and README.md: SVG in docs/images/, each for a light and a dark page, from the
numbers of bench/report, bench/peers/run and tests/gpu/report. The same numbers give the same bytes. Where matplotlib
is missing nothing is drawn, and that is said."""
import os
import re
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.realpath(__file__)))
IMAGES = os.path.join(ROOT, "docs", "images")
# Ours first; told apart without colour, too, by the dashes.
COLOURS = {"light": ("#0b62c4", "#8a8a8a", "#c2410c", "#15803d", "#7c3aed"),
           "dark": ("#6cb0ff", "#9a9a9a", "#ff9a5c", "#5ed98b", "#bda0ff")}
INK = {"light": "#24292f", "dark": "#d0d7de"}
DASHES = ((), (2, 2), (5, 2), (7, 2, 2, 2), (1, 1))
LABELS = {"cuframes": "cuframes", "futex": "bare futex wake", "gst-shm": "GStreamer shm",
          "gst-unixfd": "GStreamer unixfd", "pipe": "pipe", "pipes": "decoded once, raw pictures through pipes",
          "decode": "decoded in each consumer"}
# Where a distribution is looked at, in thousandths: enough for a smooth line, few enough for a small file.
QUANTILES = [*range(0, 1000, 20), *range(980, 1001, 2)]


def pyplot():
    """matplotlib, set up so that a figure depends on its numbers alone; None where it is missing."""
    try:
        import matplotlib  # pylint: disable=import-outside-toplevel
    except ImportError:
        print("figures: no matplotlib (scripts/install-deps bench): nothing drawn", file=sys.stderr)
        return None
    matplotlib.use("svg")
    from matplotlib import pyplot as plot  # pylint: disable=import-outside-toplevel
    plot.rcdefaults()
    plot.rcParams.update({"svg.fonttype": "none", "svg.hashsalt": "cuframes", "font.family": "sans-serif",
                          "font.sans-serif": ["DejaVu Sans", "sans-serif"], "font.size": 10, "legend.frameon": False,
                          "axes.spines.top": False, "axes.spines.right": False, "axes.axisbelow": True,
                          "axes.grid": True, "grid.alpha": 0.25, "savefig.transparent": True})
    return plot


def draw(name, title, panels, paint):
    """Both variants of docs/images/NAME-light.svg and -dark.svg: paint(axes, colours) fills `panels` axes."""
    plot = pyplot()
    if plot is None:
        return
    for theme in ("light", "dark"):
        ink = INK[theme]
        with plot.rc_context({key: ink for key in ("text.color", "axes.labelcolor", "axes.edgecolor", "xtick.color",
                                                   "ytick.color", "grid.color")}):
            figure, axes = plot.subplots(1, panels, figsize=(8.4, 3.6), squeeze=False)
            figure.suptitle(title, fontsize=11)
            figure.subplots_adjust(left=0.08, right=0.98, top=0.88, bottom=0.24, wspace=0.2)
            paint(axes[0], COLOURS[theme])
            handles, labels = axes[0][0].get_legend_handles_labels()
            figure.legend(handles, labels, loc="lower center", ncols=len(labels), fontsize=9)
            os.makedirs(IMAGES, exist_ok=True)
            path = os.path.join(IMAGES, f"{name}-{theme}.svg")
            figure.savefig(path, metadata={"Date": None, "Creator": None})
            plot.close(figure)
            tidy(path)


def tidy(path):
    """No blanks at the ends of lines; any sans-serif font will do where ours is missing."""
    with open(path, encoding="utf-8") as file:
        text = file.read()
    text = re.sub(r"[ \t]+$", "", text, flags=re.M)
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)


def number_axis(axis, values):
    """Powers of two, written as numbers."""
    axis.set_xscale("log", base=2)
    axis.set_xticks(values, [str(value) for value in values], minor=False)
    axis.minorticks_off()


def microseconds(value, _position):
    return f"{value / 1000:g} ms" if value >= 1000 else f"{value:g} us"


def handoff(contests):
    """Distributions of when sleeping readers have a small picture: one panel per number of readers."""
    contests = [contest for contest in contests if contest["readers"] in (1, 8) and contest["width"] <= 64]

    def paint(axes, colours):
        for axis, contest in zip(axes, contests):
            for style, peer in enumerate(contest["peers"]):
                axis.plot([max(peer["seen"][q], 1) / 1e3 for q in QUANTILES], [q / 10 for q in QUANTILES],
                          color=colours[style % 5], dashes=DASHES[style % 5], linewidth=2.2 if style == 0 else 1.6,
                          label=LABELS.get(peer["name"], peer["name"]))
            axis.set_xscale("log")
            axis.xaxis.set_major_formatter(microseconds)
            axis.set_xlabel(f"{contest['readers']} sleeping reader{'s' * (contest['readers'] > 1)}")
            axis.set_ylim(0, 100)
        axes[0].set_ylabel("% of the pictures are there")
    if contests:
        draw("handoff", "From the sender's call until a sleeping process has the picture", len(contests), paint)


def film(rows):
    """CPU and memory against the number of consumers. rows: {"way", "consumers", "cpu", "memory"}."""
    ways = list(dict.fromkeys(row["way"] for row in rows))

    def paint(axes, colours):
        for axis, key, label in zip(axes, ("cpu", "memory"), ("CPU seconds for a second of film", "memory, MiB")):
            for style, way in enumerate(ways):
                points = sorted((row["consumers"], row[key]) for row in rows if row["way"] == way)
                shown = (0, 2, 3)[style % 3]
                axis.plot([x for x, _ in points], [y for _, y in points], color=colours[shown], dashes=DASHES[shown],
                          marker="o", markersize=4, label=LABELS.get(way, way))
            axis.set_xticks(sorted({row["consumers"] for row in rows}))
            axis.set_ylim(bottom=0)
            axis.set_xlabel("consumers")
            axis.set_ylabel(label)
    if rows:
        draw("consumers", "A film in real time for 1 to 8 consumers, all processes together", 2, paint)


def cost(report):
    """The publisher's call against the number of subscribers; report: `cuframes-bench --json`."""
    def points(section, column, pattern):
        found = []
        for row in report["rows"]:
            match = re.fullmatch(pattern, row["what"])
            if match and row["section"].startswith(section) and column in row:
                found.append((int(match.group(1)), row[column] / 1e3))
        return sorted(set(found))

    asleep = "Many sleeping subscribers: the publisher's call"
    lines = [("cuframes, all asleep", points(asleep, "median", r"(\d+) asleep, wall clock"), 0),
             ("a bare futex wake of as many", points(asleep, "bare_median", r"(\d+) asleep, wall clock"), 1),
             ("cuframes, nobody asleep", points("Many subscribers that poll", "median",
                                                r"(\d+) polling, CPU time of the thread"), 3)]

    def paint(axes, colours):
        for label, line, style in lines:
            axes[0].plot([x for x, _ in line], [y for _, y in line], color=colours[style], dashes=DASHES[style],
                         marker="o", markersize=4, label=label)
        number_axis(axes[0], [x for x, _ in lines[0][1]])
        axes[0].set_ylim(bottom=0)
        axes[0].set_xlabel("subscribers")
        axes[0].set_ylabel("microseconds a frame")
    if all(line for _, line, _ in lines):
        draw("cost", "What the publisher's call takes: acquire and publish", 1, paint)


TIME = re.compile(r"([\d.]+) (ns|us|ms)")


def time_us(text):
    match = TIME.fullmatch(text.strip())
    return float(match.group(1)) * {"ns": 1e-3, "us": 1, "ms": 1e3}[match.group(2)] if match else None


def gpu(markdown):
    """Hand-off on a GPU against the number of sleepers, from the tables of tests/gpu/run."""
    section = markdown.split("### Hand-off: from the GPU's work done to the return of next", 1)[-1].split("\n###")[0]
    points = {}  # sleepers -> (ours, ours p99, bare, bare p99), in us; the first row of a number counts
    for line in section.split("\n"):
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        match = re.match(r"(\d+) asleep", cells[0])
        if match and len(cells) >= 6:
            times = [time_us(cells[i]) for i in (1, 2, 4, 5)]
            if None not in times:
                points.setdefault(int(match.group(1)), times)

    def paint(axes, colours):
        numbers = sorted(points)
        for label, column, style in (("cuframes, median", 0, 0), ("cuframes, p99", 1, 0),
                                     ("bare futex wake, median", 2, 1), ("bare futex wake, p99", 3, 1)):
            axes[0].plot(numbers, [points[n][column] for n in numbers], color=colours[style], marker="o", markersize=4,
                         dashes=() if column % 2 == 0 else (2, 2), label=label)
        number_axis(axes[0], numbers)
        axes[0].set_ylim(bottom=0)
        axes[0].set_xlabel("sleeping subscribers")
        axes[0].set_ylabel("microseconds")
    if points:
        draw("gpu-handoff", "On a GPU: from the picture's completion to the return of next", 1, paint)
    else:
        print("figures: no hand-off on a GPU in these tables: nothing drawn", file=sys.stderr)
