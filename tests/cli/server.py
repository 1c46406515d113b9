"""server.py - for tests: a camera that sends pictures one behind the other, without a container, over TCP or HTTP; and
the files of a directory over HTTP."""
import functools
import http.server
import socket
import threading
import time


class Server:
    """Sends pictures at a steady pace, to whoever connects."""

    def __init__(self, s, scheme, pictures, fps, head=b""):
        self.pictures, self.fps, self.head = pictures, fps, head
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.url = "%s://127.0.0.1:%d/" % (scheme, self.listener.getsockname()[1])
        s.at_end(self.listener.close)
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self.send, args=(client,), daemon=True).start()

    def send(self, client):
        pause = threading.Event()  # nobody sets it
        began = time.monotonic()
        try:
            with client:
                if self.head:
                    client.recv(65536)
                    client.sendall(self.head)
                for number in range(10**9):
                    client.sendall(self.pictures[number % len(self.pictures)])
                    pause.wait(max(0, began + (number + 1) / self.fps - time.monotonic()))
        except OSError:
            pass


class Files(http.server.ThreadingHTTPServer):
    """Serves the files of a directory, and remembers what was asked for and by whom."""
    daemon_threads = True

    def __init__(self, s, directory):
        self.asked, self.agents = [], set()
        super().__init__(("127.0.0.1", 0), functools.partial(FilesHandler, directory=directory))
        thread = threading.Thread(target=self.serve_forever, daemon=True)
        thread.start()
        s.at_end(self.server_close)
        s.at_end(thread.join)
        s.at_end(self.shutdown)

    def address(self, path):
        return "http://127.0.0.1:%d/%s" % (self.server_port, path)


class FilesHandler(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_):
        self.server.asked.append(self.path.strip("/"))
        self.server.agents.add(self.headers.get("User-Agent"))
