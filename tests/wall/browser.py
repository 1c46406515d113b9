"""browser.py - for tests: Chromium by DevTools and Firefox by WebDriver BiDi, both headless, both over a WebSocket.

Each has open(address), evaluate(javascript), which awaits a promise and gives JSON, and screenshot(path). All processes
of a browser are in a group of their own, so that none is left when close() has returned. Standard library only."""
import base64
import json
import os
import re
import shutil
import signal
import socket
import struct
import subprocess
import tempfile
import threading
import urllib.request
import zlib

import harness
from harness import LIMIT, check, skip


def read_png(data):
    """(width, bytes per pixel, rows) of a PNG of 8 bits, RGB or RGBA, as browsers write screenshots."""
    at, packed = 8, b""
    while at < len(data):
        length, kind = struct.unpack(">I4s", data[at:at + 8])
        if kind == b"IHDR":
            width, height, bits, colors, *_, interlaced = struct.unpack(">IIBBBBB", data[at + 8:at + 8 + length])
            check(bits == 8 and colors in (2, 6) and not interlaced, "a PNG of %d bits, colours %d", bits, colors)
        elif kind == b"IDAT":
            packed += data[at + 8:at + 8 + length]
        at += 12 + length
    depth = 3 if colors == 2 else 4
    raw, stride, rows = zlib.decompress(packed), width * depth, []
    before = bytearray(stride)
    for y in range(height):
        filtered, row = raw[y * (stride + 1)], bytearray(raw[y * (stride + 1) + 1:(y + 1) * (stride + 1)])
        for i in range(stride) if filtered else ():
            left, up = row[i - depth] if i >= depth else 0, before[i]
            corner = before[i - depth] if i >= depth else 0
            if filtered == 4:
                guess = left + up - corner
                distances = abs(guess - left), abs(guess - up), abs(guess - corner)
                guess = (left, up, corner)[distances.index(min(distances))]
            else:
                guess = (left, up, (left + up) >> 1)[filtered - 1]
            row[i] = row[i] + guess & 255
        rows.append(row)
        before = row
    return width, depth, rows


class WebSocket:
    """A client for text messages, as the browsers' remote ends speak them."""

    def __init__(self, address):
        host, port, path = re.fullmatch(r"ws://([^:/]+):(\d+)(/.*)", address).groups()
        self.socket = socket.create_connection((host, int(port)), LIMIT)
        key = base64.b64encode(os.urandom(16)).decode()
        request = ("GET %s HTTP/1.1\r\nHost: %s:%s\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                   "Sec-WebSocket-Key: %s\r\nSec-WebSocket-Version: 13\r\n\r\n")
        self.socket.sendall((request % (path, host, port, key)).encode())
        self.file = self.socket.makefile("rb")
        status = self.file.readline()
        check(b" 101 " in status, "%s: %r", address, status)
        while self.file.readline().strip():
            pass

    def _write(self, opcode, data):
        length = len(data)
        head = bytes([0x80 | opcode]) + (bytes([0x80 | length]) if length < 126 else
                                         struct.pack(">BH", 0xfe, length) if length < 65536 else
                                         struct.pack(">BQ", 0xff, length))
        mask = os.urandom(4)
        self.socket.sendall(head + mask + bytes(byte ^ mask[i % 4] for i, byte in enumerate(data)))

    def send(self, text):
        self._write(1, text.encode())

    def receive(self):
        whole = b""
        while True:
            first, second = self.file.read(2)
            length = second & 127
            if length > 125:
                length = struct.unpack(">H" if length == 126 else ">Q", self.file.read(2 if length == 126 else 8))[0]
            data = self.file.read(length)
            if first & 15 == 9:
                self._write(10, data)
            elif first & 15 == 8:
                raise harness.Failure("the browser has ended the connection")
            elif first & 15 < 3:
                whole += data
                if first & 128:
                    return whole.decode()

    def close(self):
        self.file.close()
        self.socket.close()


class Browser:
    """What both have in common: the process, and numbered commands with their answers."""
    name = program = ready = None

    def __init__(self, s, address, width=1280, height=800):
        path = shutil.which(self.program)
        if not path:
            skip("no program '%s' here" % self.program)
        self.folder = tempfile.mkdtemp(prefix="browser-", dir=s.root)
        self.prepare()
        self.process = subprocess.Popen([path, *self.arguments(width, height)], stdout=subprocess.DEVNULL,
                                        stderr=subprocess.PIPE, stdin=subprocess.DEVNULL, text=True,
                                        errors="replace", start_new_session=True,
                                        env=dict(os.environ, HOME=self.folder, LC_ALL="C.UTF-8"))
        s.at_end(self.close)
        browsers = s.__dict__.setdefault("browsers", [])
        browsers.append(self)
        self.others = lambda: [one.pid for one in s.processes] + [one.process.pid for one in browsers]
        self.number, self.complaints, self.socket = 0, [], None
        said = []
        for line in self.process.stderr:
            said.append(line)
            found = re.search(self.ready, line)
            if found:
                break
        check(found, "%s does not start: %s", self.program, "".join(said)[-2000:])
        self.reader = threading.Thread(target=lambda: [None for _ in self.process.stderr], daemon=True)
        self.reader.start()
        self.socket = WebSocket(self.remote_end(found.group(1)))
        self.begin(width, height)
        self.open(address)

    def command(self, method, **parameters):
        self.number += 1
        self.socket.send(json.dumps({"id": self.number, "method": method, "params": parameters}))
        while True:
            answer = json.loads(self.socket.receive())
            if answer.get("id") == self.number:
                check("error" not in answer, "%s: %r", method, answer.get("error"))
                return answer["result"]
            self.event(answer)

    def signal(self, number):
        os.killpg(self.process.pid, number)

    def suspend(self):
        """All of it stands still when this returns."""
        for name in filter(str.isdigit, os.listdir("/proc")):
            try:
                if os.getpgid(int(name)) == self.process.pid:
                    harness.stop_process(int(name))
            except ProcessLookupError:
                pass  # it has ended meanwhile

    def resume(self):
        self.signal(signal.SIGCONT)

    def close(self):
        if self.process.returncode is not None:
            return
        if self.socket:
            self.socket.close()
        self.signal(signal.SIGKILL)
        self.process.wait()
        while self._orphans():
            pass
        self.reader.join()
        self.process.stderr.close()

    def _orphans(self):
        """Ends what the browser had started and is ours now, its watchers for crashes in groups of their own, too."""
        ours = ("HOME=" + self.folder).encode()
        found = 0
        with open("/proc/self/task/%d/children" % os.getpid(), encoding="ascii") as file:
            children = [int(pid) for pid in file.read().split()]
        for pid in children:
            try:
                with open("/proc/%d/environ" % pid, "rb") as file:
                    mine = ours in file.read().split(b"\0")
            except OSError: # it has ended: whose it was is seen by its group alone, or by nobody having started it
                mine = pid not in self.others()
            with open("/proc/%d/stat" % pid, encoding="ascii", errors="replace") as file:
                group = int(file.read().rsplit(")", 1)[1].split()[2])
            if mine or group == self.process.pid:
                os.kill(pid, signal.SIGKILL)
                os.waitpid(pid, 0)
                found += 1
        return found

    def pixels(self):
        """A function of x and y: the colour on the screen there."""
        _, depth, rows = read_png(base64.b64decode(self.picture()))
        return lambda x, y: tuple(rows[int(y)][int(x) * depth:int(x) * depth + 3])

    def screenshot(self, path):
        with open(path, "wb") as file:
            file.write(base64.b64decode(self.picture()))


# By the names that KeyboardEvent.key has: the code point of WebDriver, and the number of Windows.
KEYS = {"Enter": ("\ue007", 13), "Escape": ("\ue00c", 27), "ArrowLeft": ("\ue012", 37), "ArrowUp": ("\ue013", 38),
        "ArrowRight": ("\ue014", 39), "ArrowDown": ("\ue015", 40)}


class Chromium(Browser):
    name, program, ready = "chromium", "chromium", r"DevTools listening on (ws://\S+)"

    def prepare(self):
        pass

    def arguments(self, width, height):
        return ["--headless=new", "--no-sandbox", "--no-zygote", "--disable-gpu", "--disable-dev-shm-usage",
                "--remote-debugging-port=0", "--user-data-dir=" + self.folder, "--no-first-run",
                "--disable-breakpad", "--disable-background-networking", "--disable-component-update",
                "--hide-scrollbars", "--autoplay-policy=no-user-gesture-required",
                "--window-size=%u,%u" % (width, height), "about:blank"]

    def remote_end(self, address):
        port = re.search(r":(\d+)/", address).group(1)
        with urllib.request.urlopen("http://127.0.0.1:%s/json" % port, timeout=LIMIT) as answer:
            pages = [one for one in json.load(answer) if one["type"] == "page"]
        return pages[0]["webSocketDebuggerUrl"]

    def begin(self, width, height):
        for domain in "Runtime", "Page", "Log":
            self.command(domain + ".enable")
        self.view(width, height)

    def view(self, width, height, scale=1, phone=False):
        self.command("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=scale,
                     mobile=phone)

    def scheme(self, name):
        self.command("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": name}])

    def open(self, address):
        self.command("Page.navigate", url=address)

    def event(self, message):
        parameters = message.get("params", {})
        if message.get("method") == "Runtime.exceptionThrown":
            details = parameters["exceptionDetails"]
            self.complaints.append(details.get("exception", {}).get("description", details["text"]))
        elif message.get("method") == "Log.entryAdded" and parameters["entry"]["level"] == "error":
            self.complaints.append(parameters["entry"]["text"])

    def evaluate(self, script):
        answer = self.command("Runtime.evaluate", expression="(async () => (%s))()" % script, awaitPromise=True,
                              returnByValue=True)
        check("exceptionDetails" not in answer, "%s: %r", script[:80], answer.get("exceptionDetails"))
        return answer["result"].get("value")

    def press(self, key):
        text = "\r" if key == "Enter" else key if len(key) == 1 else ""
        number = KEYS[key][1] if key in KEYS else ord(key.upper())
        self.command("Input.dispatchKeyEvent", type="keyDown" if text else "rawKeyDown", key=key, text=text,
                     windowsVirtualKeyCode=number)
        self.command("Input.dispatchKeyEvent", type="keyUp", key=key, windowsVirtualKeyCode=number)

    def click(self, x, y):
        for kind in "mousePressed", "mouseReleased":
            self.command("Input.dispatchMouseEvent", type=kind, x=x, y=y, button="left", clickCount=1)

    def heap(self):
        """Bytes of the page's JavaScript after a collection."""
        self.command("HeapProfiler.collectGarbage")
        return self.command("Runtime.getHeapUsage")["usedSize"]

    def picture(self):
        return self.command("Page.captureScreenshot", format="png")["data"]


class Firefox(Browser):
    name, program, ready = "firefox", "firefox-esr", r"WebDriver BiDi listening on (ws://\S+)"
    settings = {"media.autoplay.default": 0, "app.update.enabled": False, "media.gmp-manager.url": "",
                "datareporting.policy.dataSubmissionEnabled": False, "network.captive-portal-service.enabled": False,
                "network.connectivity-service.enabled": False, "browser.region.update.enabled": False,
                "toolkit.telemetry.enabled": False, "browser.shell.checkDefaultBrowser": False}

    def prepare(self):
        with open(os.path.join(self.folder, "user.js"), "w", encoding="ascii") as file:
            for key, value in self.settings.items():
                file.write("user_pref(%s, %s);\n" % (json.dumps(key), json.dumps(value)))

    def arguments(self, width, height):
        return ["--headless", "--no-remote", "--profile", self.folder, "--remote-debugging-port", "0",
                "--width=%u" % width, "--height=%u" % height, "about:blank"]

    def remote_end(self, address):
        return address + "/session"

    def begin(self, width, height):
        self.command("session.new", capabilities={})
        self.command("session.subscribe", events=["log.entryAdded"])
        self.context = self.command("browsingContext.getTree")["contexts"][0]["context"]
        self.command("browsingContext.setViewport", context=self.context, viewport={"width": width, "height": height})

    def open(self, address):
        self.command("browsingContext.navigate", context=self.context, url=address, wait="complete")

    def event(self, message):
        if message.get("method") == "log.entryAdded" and message["params"].get("level") == "error":
            self.complaints.append(message["params"].get("text"))

    def evaluate(self, script):
        answer = self.command("script.evaluate", target={"context": self.context}, awaitPromise=True,
                              expression="(async () => JSON.stringify(await (%s)))()" % script)
        check(answer["type"] == "success", "%s: %r", script[:80], answer.get("exceptionDetails"))
        return json.loads(answer["result"].get("value", "null"))

    def perform(self, kind, *actions, **more):
        self.command("input.performActions", context=self.context,
                     actions=[dict(type=kind, id="the " + kind, actions=list(actions), **more)])

    def press(self, key):
        value = KEYS[key][0] if key in KEYS else key
        self.perform("key", {"type": "keyDown", "value": value}, {"type": "keyUp", "value": value})

    def click(self, x, y):
        self.perform("pointer", {"type": "pointerMove", "x": int(x), "y": int(y)}, {"type": "pointerDown", "button": 0},
                     {"type": "pointerUp", "button": 0})

    def picture(self):
        return self.command("browsingContext.captureScreenshot", context=self.context)["data"]


BROWSERS = {browser.name: browser for browser in (Chromium, Firefox)}
