"""web.py - what a browser does, for tests of servers: requests over HTTP, and WebSocket as RFC 6455 has it, also where
it is wrong on purpose."""
import base64
import hashlib
import json
import os
import re
import socket
import struct

from harness import LIMIT, check

CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG = 0, 1, 2, 8, 9, 10


class Server:
    """Where a process says that it listens; makes connections to it. `tls`: an ssl.SSLContext."""

    def __init__(self, process, tls=None):
        self.process, self.tls = process, tls
        match = process.wait_for(r"listening at https?://\[?([\d.:a-f]+?)\]?:(\d+)/\S*$")
        host = {"::": "::1", "0.0.0.0": "127.0.0.1"}.get(match[1], match[1])
        self.address = host, int(match[2])
        self.host = "localhost:%s" % match[2]

    def connect(self, receive_bytes=None):
        client = socket.socket(socket.AF_INET6 if ":" in self.address[0] else socket.AF_INET)
        if receive_bytes:
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_bytes)
        client.settimeout(LIMIT)
        client.connect(self.address)
        return self.tls.wrap_socket(client, server_hostname="localhost") if self.tls else client

    def request(self, path, *headers, method="GET", version="1.1", host=None):
        lines = ["%s %s HTTP/%s" % (method, path, version), "Host: " + (host or self.host)]
        return "\r\n".join(lines + list(headers) + ["", ""]).encode()

    def get(self, path="/", *headers, **options):
        """The whole answer, after which the server closes."""
        with self.connect() as client:
            client.sendall(self.request(path, "Connection: close", *headers, **options))
            return Answer(drain(client))

    def json(self, path, *headers):
        answer = self.get(path, *headers)
        check(answer.status == 200, "%s: %s", path, answer)
        return json.loads(answer.body)

    def socket(self, path, protocol=None, *headers, **options):
        return WebSocket(self, path, protocol, *headers, **options)


class Answer:
    """Status, headers and body (bytes; chunks are joined, and must end as they should) of an answer."""

    def __init__(self, data):
        head, _, self.body = data.partition(b"\r\n\r\n")
        lines = head.decode("latin-1").split("\r\n")
        match = re.match(r"HTTP/1\.[01] (\d+)", lines[0])
        check(match, "no answer: %r", data[:200])
        self.status = int(match[1])
        self.headers = dict(line.split(": ", 1) for line in lines[1:])
        self.whole = True
        if self.headers.get("transfer-encoding") == "chunked":
            self.body, self.whole = unchunk(self.body)

    def __str__(self):
        return "%d %s %r" % (self.status, self.headers, self.body[:200])


def unchunk(data):
    """(bytes, whether the last chunk is there)."""
    chunks = b""
    while True:
        size, found, rest = data.partition(b"\r\n")
        if not found:
            return chunks, False
        length = int(size, 16)
        check(rest[length:length + 2] in (b"\r\n", b"\r", b""), "a chunk of %d does not end: %r", length,
              rest[length:length + 9])
        if length == 0:
            return chunks, rest == b"\r\n"
        chunks += rest[:length]
        data = rest[length + 2:]


def drain(client):
    """All that comes until the server closes; if it resets the connection, what came before."""
    data = b""
    try:
        while True:
            more = client.recv(65536)
            if not more:
                return data
            data += more
    except ConnectionError:
        return data


class Closed(Exception):
    """The server has closed the WebSocket: `code` is None where it hung up without one."""

    def __init__(self, code=None, reason=""):
        super().__init__("closed: %s %s" % (code, reason))
        self.code, self.reason = code, reason


class WebSocket:
    """Raises nothing if it is refused: `status` says so, and `answer` why. Pings are answered while something is
    received, unless `answers` is False."""

    def __init__(self, server, path, protocol=None, *headers, origin=None, key=None, receive_bytes=None, version="13"):
        self.answers, self.data, self.pings = True, b"", 0
        key = key or base64.b64encode(os.urandom(16)).decode()
        lines = ["Connection: keep-alive, Upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: " + version,
                 "Sec-WebSocket-Key: " + key, *headers]
        lines += ["Sec-WebSocket-Protocol: " + protocol] if protocol else []
        lines += ["Origin: " + origin] if origin else []
        self.client = server.connect(receive_bytes)
        self.client.sendall(server.request(path, *lines))
        while b"\r\n\r\n" not in self.data:
            more = self.receive_some()
            if not more:
                break
            self.data += more
        head, _, rest = self.data.partition(b"\r\n\r\n")
        self.status = int(head.split()[1]) if head else None
        self.answer = Answer(self.data + (b"" if self.status == 101 else drain(self.client))) if head else None
        self.data = rest
        if self.status == 101:
            digest = hashlib.sha1((key + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11").encode()).digest()
            accept = {name.lower(): value for name, value in self.answer.headers.items()}["sec-websocket-accept"]
            check(accept == base64.b64encode(digest).decode(), "the key is not answered: %s", self.answer)

    def receive_some(self):
        try:
            return self.client.recv(65536)
        except ConnectionError:
            return b""

    def need(self, length):
        while len(self.data) < length:
            more = self.receive_some()
            if not more:
                raise Closed
            self.data += more
        taken, self.data = self.data[:length], self.data[length:]
        return taken

    def frame(self):
        """(final, opcode, payload) as it comes."""
        first, second = self.need(2)
        check(not first & 0x70 and not second & 0x80, "reserved bits, or a mask: %02x %02x", first, second)
        length = second & 0x7f
        if length > 125:
            length = struct.unpack("!H", self.need(2))[0] if length == 126 else struct.unpack("!Q", self.need(8))[0]
        return bool(first & 0x80), first & 0x0f, self.need(length)

    def receive(self):
        """The next whole message: str or bytes. Closed, if it ends."""
        whole, kind = b"", None
        while True:
            final, opcode, payload = self.frame()
            if opcode == CLOSE:
                code = struct.unpack("!H", payload[:2])[0] if payload else None
                raise Closed(code, payload[2:].decode())
            if opcode == PING:
                self.pings += 1
                if self.answers:
                    self.send_frame(PONG, payload)
            elif opcode in (TEXT, BINARY, CONTINUATION):
                check((opcode == CONTINUATION) == (kind is not None), "a message within another")
                kind = kind or opcode
                whole += payload
                if final:
                    return whole.decode() if kind == TEXT else whole

    def json(self):
        return json.loads(self.receive())

    def send_frame(self, opcode, payload=b"", final=True, mask=b"mask", length=None, reserved=0):
        """`length`: another one than it has; `mask` None: as servers do it."""
        length = len(payload) if length is None else length
        head = bytes([opcode | (0x80 if final else 0) | reserved])
        bit = 0x80 if mask else 0
        if length < 126:
            head += bytes([bit | length])
        elif length < 65536:
            head += bytes([bit | 126]) + struct.pack("!H", length)
        else:
            head += bytes([bit | 127]) + struct.pack("!Q", length)
        if mask:
            payload = bytes(byte ^ mask[i % 4] for i, byte in enumerate(payload))
        self.client.sendall(head + (mask or b"") + payload)

    def send(self, text):
        self.send_frame(TEXT, text.encode() if isinstance(text, str) else json.dumps(text).encode())

    def closing(self):
        """Reads on to the end: (code, reason)."""
        try:
            while True:
                self.receive()
        except Closed as end:
            return end.code, end.reason

    def close(self):
        self.client.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()
