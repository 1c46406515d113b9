#!/usr/bin/env python3
"""test_image.py - what packaging/image shows for containers: files that Compose and Kubernetes take, as far as their
schemas tell, and commands that the program takes, run here beside each other. The image itself is tried by
scripts/image."""
import json
import os
import re
import subprocess
import urllib.request

import harness
from harness import OK, check

IMAGE = os.path.join(harness.SOURCE_DIR, "packaging", "image")


def schemas(*arguments):
    done = subprocess.run([os.path.join(harness.SOURCE_DIR, "scripts", "schemas"), *arguments], capture_output=True,
                          text=True)
    if done.returncode == harness.SKIP:
        harness.skip(done.stdout.strip())
    check(done.returncode == 0, "scripts/schemas %s: %s", " ".join(arguments), done.stdout + done.stderr)
    return done.stdout


def documents(name):
    return json.loads(schemas("--json", os.path.join(IMAGE, name)))


def test_schemas(s):
    schemas()


def run_readers(s, commands):
    """The commands of readers beside a stream as theirs, which end after a second of it."""
    s.publish(harness.CLIP, "door", "--realtime", "--loop")
    os.mkdir(s.path("video"))
    for command in commands:
        command = [word.replace("/run/cuframes/streams", s.dir).replace("/srv/video", s.path("video"))
                   for word in command]
        s.start(*command, "--duration", "1").expect(OK)
    files = os.listdir(s.path("video"))
    check(files and all(re.fullmatch(r"door-\d{8}-\d{6}\.mp4", name) for name in files), "recorded: %s", files)


def run_metrics(s, command):
    """Beside the stream: gives its numbers, at a port that is free here. Gives the port, and the one in the file."""
    at = command.index("--listen") + 1
    port = re.fullmatch(r":(\d+)", command[at])[1]
    words = [word.replace("/run/cuframes/streams", s.dir) for word in command]
    words[at] = "127.0.0.1:0"
    program = s.start(*words)
    here = re.search(r"http://127\.0\.0\.1:(\d+)/metrics", program.wait_for(r"http://\S+/metrics")[0])[1]
    with urllib.request.urlopen("http://127.0.0.1:%s/metrics" % here, timeout=harness.LIMIT) as answer:
        check('cuframes_stream_up{stream="door"} 1' in answer.read().decode(), "it says nothing of the stream")
    return here, port


def test_compose(s):
    services = documents("compose.yaml")[0]["services"]
    gpu = documents("compose.gpu.yaml")[0]["services"]
    check(set(gpu) <= set(services), "compose.gpu.yaml is about others: %s", sorted(gpu))
    check(services["cameras"]["command"][:2] == ["publish", "--config"], "cameras: %s", services["cameras"]["command"])
    run_readers(s, [services[name]["command"] for name in ("recorder", "detector")])
    check(s.run(*services["cameras"]["healthcheck"]["test"][2:]).code == OK, "the health check fails")
    here, port = run_metrics(s, services["metrics"]["command"])
    check(services["metrics"]["ports"] == ["127.0.0.1:%s:%s" % (port, port)], "ports: %s", services["metrics"])
    health = [word.replace("$$", "$").replace("/" + port, "/" + here)
              for word in services["metrics"]["healthcheck"]["test"][1:]]
    check(subprocess.run(health, timeout=harness.LIMIT).returncode == 0, "the check of metrics fails: %s", health)
    health[-1] = health[-1].replace("success 1", "success 0")
    check(subprocess.run(health, timeout=harness.LIMIT).returncode != 0, "the check of metrics is always well")
    for name, service in services.items():
        check(service["read_only"] and service["cap_drop"] == ["ALL"], "%s may do more than it needs", name)


def test_daemonset(s):
    config, daemonset = documents("daemonset.yaml")
    pod = daemonset["spec"]["template"]["spec"]
    containers = {container["name"]: container for container in pod["containers"]}
    streams = json.loads(config["data"]["cameras.json"])["streams"]
    check([stream["name"] for stream in streams] == ["door"], "streams: %s", streams)
    check(pod["volumes"][1]["configMap"]["name"] == config["metadata"]["name"], "another ConfigMap")
    run_readers(s, [containers[name]["args"] for name in ("recorder", "detector")])
    _, port = run_metrics(s, containers["metrics"]["args"])
    check(containers["metrics"]["ports"] == [{"name": "metrics", "containerPort": int(port)}], "another port")
    check(containers["metrics"]["livenessProbe"]["httpGet"] == {"path": "/metrics", "port": "metrics"}, "another probe")
    notes = daemonset["spec"]["template"]["metadata"]["annotations"]
    check(notes["prometheus.io/port"] == port, "Prometheus is told of another port: %s", notes)
    for probe in ("readinessProbe", "livenessProbe"):
        command = containers["cameras"][probe]["exec"]["command"]
        result = s.run(*[word.replace("/run/cuframes/streams", s.dir) for word in command[1:]])
        check(result.code == OK, "%s fails: %s", probe, result.err)


def test_directory_of_a_pod(s):
    """Everybody may write to an emptyDir with an fsGroup: a publisher takes it only as the init container leaves it."""
    directory = s.path("emptydir")
    os.mkdir(directory)
    os.chmod(directory, 0o2777)
    refused = s.run("publish", "test:64x48@5", "--name", "a", "--duration", "1", "--dir", directory)
    check(refused.code == harness.FAILED, "a directory that everybody may write to is taken")
    init = documents("daemonset.yaml")[1]["spec"]["template"]["spec"]["initContainers"][0]
    subprocess.run([word.replace("/run/cuframes", directory) for word in init["command"]], check=True)
    s.start("publish", "test:64x48@5", "--name", "a", "--duration", "1", "--dir", directory + "/streams").expect(OK)


def test_container_file(s):
    """What it says is for the program that there is."""
    with open(os.path.join(IMAGE, "Containerfile"), encoding="utf-8") as file:
        text = file.read()
    health = json.loads(re.search(r"^HEALTHCHECK .* CMD (\[.*\])$", text, re.M)[1])
    check(health[0] == "cuframes" and s.run(*health[1:]).code == harness.NO_STREAM, "without a stream: %s", health)
    s.publish("test:64x48@5", "a")
    check(s.run(*health[1:]).code == OK, "with a stream: %s", health)
    check(re.search(r"^USER \d+:\d+$", text, re.M), "the user is no number")


if __name__ == "__main__":
    harness.main(globals())
