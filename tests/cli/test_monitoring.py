#!/usr/bin/env python3
"""test_monitoring.py - the alerts of packaging/prometheus and the dashboard of packaging/grafana: promtool judges them,
every metric, label and value that one of their expressions names is one of `cuframes metrics`, and on the numbers of
streams that run just now each does what it is for."""
import json
import os
import re
import socket

import harness
import metering
from harness import check, pace
from test_metrics import documented

ALERTS = os.path.join(harness.SOURCE_DIR, "packaging", "prometheus", "cuframes.rules.yml")
CASES = ALERTS.replace(".rules.yml", ".rules.test.yml")
DASHBOARD = os.path.join(harness.SOURCE_DIR, "packaging", "grafana", "cuframes.json")
# What Prometheus adds to each sample, and says of each target itself; what node_exporter says of its files.
TARGET_LABELS = {"job", "instance"}
FOREIGN_METRICS = {"up": TARGET_LABELS, "node_textfile_mtime_seconds": TARGET_LABELS | {"file"}}
# Grafana puts these in.
VARIABLES = {"$instance": ".*", "$stream": ".*", "$__rate_interval": "1m", "$__range": "1h"}
SELECTOR = re.compile(r"\b([a-z][a-z0-9_]*)(?:\{([^}]*)\})?(?![a-z0-9_]*\s*\()")
MATCHER = re.compile(r'(\w+)\s*(=~|!~|!=|=)\s*"([^"]*)"')
WORDS = {"by", "on", "and", "or", "unless", "without", "ignoring", "group_left", "group_right", "offset", "bool", "le"}


def read(path):
    with open(path, encoding="utf-8") as file:
        return file.read()


def alerts():
    """{name: {expr, for, labels, and the texts}} of the file, which is written in one manner."""
    found = {}
    for block in re.findall(r"^      - alert: (.*\n(?:        .*\n)+)", read(ALERTS), re.M):
        fields = {"name": block.split("\n", 1)[0]}
        for _, key, folded, line in re.findall(r"^( +)(\w+): (?:>-\n((?:\1  .*\n)+)|(.*)\n)", block, re.M):
            fields[key] = " ".join(folded.split()) if folded else line.strip('"')
        found[fields["name"]] = fields
    return found


def panels():
    """Those with an expression."""
    return [panel for panel in json.loads(read(DASHBOARD))["panels"] if panel["type"] != "row"]


def plain(expression):
    for name, value in VARIABLES.items():
        expression = expression.replace(name, value)
    check("$" not in expression, "an unknown variable: %s", expression)
    return expression


def expressions():
    """[(whose, expression)] of all."""
    found = [(name, fields["expr"]) for name, fields in alerts().items()]
    return found + [(panel["title"], plain(target["expr"])) for panel in panels() for target in panel["targets"]]


def test_promtool_judges(s):
    tool = harness.need_program("promtool")
    for arguments in (["check", "rules", ALERTS], ["test", "rules", CASES]):
        s.start_program(tool, *arguments).expect(harness.OK)


def test_dashboard_is_promql(s):
    """Each expression as a recording rule."""
    harness.need_program("promtool")
    rules = [{"record": "dashboard:number_%d" % number, "expr": expression}
             for number, (_, expression) in enumerate(expressions())]
    path = s.path("dashboard.yml")
    with open(path, "w", encoding="utf-8") as file:
        json.dump({"groups": [{"name": "dashboard", "rules": rules}]}, file)  # JSON is YAML
    code, said = metering.promtool("check", "rules", path)
    check(code == 0 and "%d rules found" % len(rules) in said, "%s", said)


def test_every_alert_has_cases(s):
    """One that fires and one that does not, words for who reads it, and what to do."""
    cases = read(CASES)
    for name, fields in alerts().items():
        labels = fields.get("labels", "")
        check(re.fullmatch(r"\{ severity: (critical|warning|info) \}", labels), "%s: no severity: %s", name, labels)
        check({"summary", "description", "action"} <= set(fields), "%s says only %s", name, sorted(fields))
        fires = re.findall(r"alertname: %s\n +exp_alerts:\n +- exp_labels" % name, cases)
        silent = re.findall(r"\{ eval_time: \w+, alertname: %s \}" % name, cases)
        check(fires and silent, "%s: %d cases fire, %d are silent", name, len(fires), len(silent))
    check(len(re.findall("- alert: ", read(ALERTS))) == len(alerts()), "an alert that this test does not see")


def names_of(expression):
    """{metric: [(label, operator, value)]} of an expression; also the labels that it groups and joins by."""
    grouping = set()

    def take(match):
        grouping.update(re.findall(r"\w+", match[1]))
        return " "
    rest = re.sub(r"\b(?:by|on|without|ignoring|group_left|group_right)\s*\(([^)]*)\)", take, expression)
    rest = re.sub(r"\[[^]]*\]|\boffset \w+", " ", rest)
    found = {}
    for name, inside in SELECTOR.findall(rest):
        if name not in WORDS:
            found.setdefault(name, []).extend(MATCHER.findall(inside))
    return found, grouping


def words_of(label):
    """The values that docs/metrics.md has for a label of few words."""
    row = re.search(r"^\| `%s` \| (.*) \|$" % label, read(os.path.join(harness.SOURCE_DIR, "docs", "metrics.md")), re.M)
    return set(re.findall(r"`(\w+)`", row[1]))


def test_names_are_there(s):
    """What is asked of Prometheus is what the program says now: a camera that is away, a film with a reader, and a name
    of nobody."""
    nowhere = socket.socket()  # bound and not listening: refuses at once
    nowhere.bind(("127.0.0.1", 0))
    s.at_end(nowhere.close)
    s.start("publish", "rtsp://127.0.0.1:%d/" % nowhere.getsockname()[1], "--name", "away")
    s.publish(harness.CLIP, "film", "--realtime", "--loop")
    s.start("verify", "film", "--mode", "ordered")
    s.until(lambda: metering.once(s).get("cuframes_stream_subscribers", stream="film", policy="ordered"), "a reader")
    s.until(lambda: metering.once(s).all("cuframes_stream_state_reason", stream="away"), "a reason")
    there, page = metering.once(s, "film", "away", "none"), documented()
    known = dict(FOREIGN_METRICS)
    for family, (kind, _) in there.families.items():
        for end in ("_bucket", "_sum", "_count") if kind == "histogram" else ("",):
            samples = there.all(family + end)
            labels = set().union(*[set(labels) for labels, _ in samples]) if samples else page[family][1]
            known[family + end] = labels | TARGET_LABELS
    values = {label: words_of(label) for label in ("state", "policy")}
    values["media"] = {"video", "audio", "data"}
    used = set()
    for whose, expression in expressions():
        metrics, grouping = names_of(expression)
        check(metrics, "%s: no metric in %s", whose, expression)
        for name, matchers in metrics.items():
            check(name in known, "%s: `cuframes metrics` has no %s", whose, name)
            used.add(name)
            for label, operator, value in matchers:
                check(label in known[name], "%s: %s has no label %s, only %s", whose, name, label, sorted(known[name]))
                for word in value.split("|") if operator in ("=~", "!~") else [value]:
                    check(label not in values or word in values[label] or word == ".*",
                          "%s: %s is no %s; there are %s", whose, word, label, values.get(label))
        labels = set().union(*[known[name] for name in metrics]) | {"le"}
        check(grouping <= labels, "%s: by %s, of which there is none", whose, sorted(grouping - labels))
    unused = set(page) - {re.sub(r"_(bucket|sum|count)$", "", name) for name in used}
    check(unused <= {"cuframes_exporter_start_time_seconds", "cuframes_streams", "cuframes_stream_packets_total",
                     "cuframes_stream_last_frame_time_seconds", "cuframes_track_last_packet_age_seconds"},
          "no alert and no panel shows %s", sorted(unused))


def series_of(there):
    """What a look found, as promtool's input: the same for an hour."""
    found = []
    for (name, labels), value in there.samples.items():
        text = ",".join("%s=%s" % (label, json.dumps(word)) for label, word in labels)
        found.append({"series": '%s{instance="host",%s}' % (name, text), "values": "%r+0x60" % value})
    return found


def test_alerts_on_what_runs(s):
    """The numbers of cameras that are away, stopped and well, an hour long: the alerts that fire are those of the first
    two."""
    tool = harness.need_program("promtool")
    nowhere = socket.socket()
    nowhere.bind(("127.0.0.1", 0))
    s.at_end(nowhere.close)
    s.start("publish", "rtsp://127.0.0.1:%d/" % nowhere.getsockname()[1], "--name", "away")
    stopped = s.publish("test:64x48@25", "stopped")
    s.publish("test:64x48@25", "well")
    s.until(lambda: metering.once(s).all("cuframes_stream_state_reason", stream="away"), "a reason")
    stopped.suspend()
    there = metering.Metrics(s.start("metrics", "--once", "--timeout", "2").expect(harness.OK).out)
    stopped.resume()
    pace(there.get("cuframes_stream_up", stream="well") == 1, "it was too late: %s", there.text)
    state = [labels["state"] for labels, value in there.all("cuframes_stream_state", stream="away") if value == 1][0]
    fired = {"CuframesStreamDown": {"stream": "stopped"}, "CuframesCameraDown": {"stream": "away", "state": state}}
    cases = []
    for name, fields in alerts().items():
        expected = 'ALERTS{alertstate="firing",alertname="%s",instance="host",severity="critical"%s}' % (
            name, "".join(',%s="%s"' % pair for pair in fired.get(name, {}).items()))
        cases.append({"expr": 'ALERTS{alertname="%s"}' % name, "eval_time": "50m",
                      "exp_samples": [{"labels": expected, "value": 1}] if name in fired else []})
    path = s.path("live.yml")
    with open(path, "w", encoding="utf-8") as file:
        json.dump({"rule_files": [ALERTS], "evaluation_interval": "1m",
                   "tests": [{"interval": "1m", "input_series": series_of(there), "promql_expr_test": cases}]}, file)
    s.start_program(tool, "test", "rules", path).expect(harness.OK)


def test_dashboard_can_be_imported(s):
    """What Grafana wants of a file that somebody gives it, and what a look at it needs."""
    dashboard = json.loads(read(DASHBOARD))
    check(dashboard["id"] is None and re.fullmatch(r"[\w-]{1,40}", dashboard["uid"]), "id and uid")
    check(dashboard["schemaVersion"] >= 30, "schemaVersion %s", dashboard["schemaVersion"])
    sources = [given["name"] for given in dashboard["__inputs"] if given["pluginId"] == "prometheus"]
    check(len(sources) == 1, "inputs: %s", sources)
    variables = {variable["name"] for variable in dashboard["templating"]["list"]}
    check({sources[0], "instance", "stream"} <= variables, "variables: %s", variables)
    check(len({panel["id"] for panel in dashboard["panels"]}) == len(dashboard["panels"]), "two panels with one id")
    required = {need["id"] for need in dashboard["__requires"]}
    check({panel["type"] for panel in panels()} | {"grafana", "prometheus"} == required, "requires %s", required)
    taken, rows = set(), 0
    for panel in dashboard["panels"]:
        at = panel["gridPos"]
        cells = {(x, y) for x in range(at["x"], at["x"] + at["w"]) for y in range(at["y"], at["y"] + at["h"])}
        check(at["x"] + at["w"] <= 24 and not cells & taken, "%s has no place of its own: %s", panel["title"], at)
        taken |= cells
        if panel["type"] == "row":
            rows += 1
            check(panel["title"].endswith("?"), "a row is a question: %s", panel["title"])
    check(rows >= 6, "%d rows", rows)
    there = {label for _, labels, _ in documented().values() for label in labels} | TARGET_LABELS
    for panel in panels():
        for target in [panel] + panel["targets"]:
            check(target["datasource"] == {"type": "prometheus", "uid": "${%s}" % sources[0]}, panel["title"])
        refs = [target["refId"] for target in panel["targets"]]
        check(refs and len(set(refs)) == len(refs), "%s: %s", panel["title"], refs)
        for target in panel["targets"]:
            named = set(re.findall(r"\{\{\s*(\w+)\s*\}\}", target["legendFormat"]))
            check(named <= there, "%s: the legend has %s", panel["title"], sorted(named - there))


if __name__ == "__main__":
    harness.main(globals())
