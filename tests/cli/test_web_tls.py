#!/usr/bin/env python3
"""test_web_tls.py - HTTPS and WSS of the program's HTTP server: certificates that do, and those that do not, new ones
while it runs, and clients that do not go on within the handshake."""
import os
import shutil
import socket
import ssl
import subprocess
import warnings

import harness
import metering
import test_web_login
import web
from harness import FAILED, LIMIT, USAGE, check, need_program


def openssl(*words):
    result = subprocess.run([need_program("openssl"), *words], capture_output=True, text=True, check=False,
                            timeout=LIMIT)
    check(result.returncode == 0, "openssl %s: %s", words, result.stderr)


def certificate(s, name, *words):
    """(certificate, key) of a server that is localhost."""
    cert, key = s.path(name + ".pem"), s.path(name + ".key")
    openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-subj",
            "/CN=localhost", "-addext", "subjectAltName=DNS:localhost", "-keyout", key, "-out", cert, *words)
    os.chmod(key, 0o600)
    return cert, key


def trust(cert):
    return ssl.create_default_context(cafile=cert)


def site(s, cert, key, *args):
    return s.start_program(harness.need_built("tests", "site"), "--certificate", cert, *(["--key", key] if key else []),
                           *args)


def serve(s, *args):
    cert, key = certificate(s, "server")
    return web.Server(site(s, cert, key, *args), trust(cert))


def test_https(s):
    server = serve(s)
    check("listening at https://" in server.process.err, "%s", server.process.err)
    check(server.get().status == 200, "%s", server.get())
    answer = server.get("/stream?bytes=3000000&size=50000")
    check(answer.whole and len(answer.body) == 3000000, "%d bytes", len(answer.body))
    with server.connect() as client:
        check(client.version() in ("TLSv1.2", "TLSv1.3"), client.version())
        for _ in range(3):  # one connection, many requests
            client.sendall(server.request("/"))
            data = b""
            while not data.endswith(b"site.\n"):
                data += client.recv(65536)


def test_wss(s):
    server = serve(s)
    with server.socket("/talk", "site-1", origin="https://" + server.host) as client:
        check(client.status == 101 and client.receive() == "hello", "%s", client.answer)
        client.send("x" * 65536)
        check(client.receive() == "x" * 65536, "said back")
        client.send("send 30 200000")
        for i in range(30):
            check(client.receive() == bytes([97 + i % 26]) * 200000, "message %d", i)
        client.send("close 4000")
        check(client.closing()[0] == 4000, "closed")
    check(server.socket("/talk", "site-1", origin="http://" + server.host).status == 403, "another scheme")


def test_versions(s):
    """Old versions of TLS, and no TLS at all."""
    server = serve(s)
    old = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    old.check_hostname, old.verify_mode = False, ssl.CERT_NONE
    old.set_ciphers("ALL:@SECLEVEL=0")
    warnings.simplefilter("ignore", DeprecationWarning)
    for version in (ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1, ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
        old.minimum_version = ssl.TLSVersion.MINIMUM_SUPPORTED
        old.maximum_version = version
        old.minimum_version = version
        try:
            with socket.create_connection(server.address, LIMIT) as client, old.wrap_socket(client) as secure:
                check(secure.version() in ("TLSv1.2", "TLSv1.3"), "it takes %s", secure.version())
        except (ssl.SSLError, ConnectionError) as why:
            check(version in (ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1), "%s: %s", version, why)
    for data in (b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n", os.urandom(4000),
                 b"\x16\x03\x01\xff\xff" + b"x" * 99999):
        with socket.create_connection(server.address, LIMIT) as client:
            try:
                client.sendall(data)
                client.shutdown(socket.SHUT_WR)
            except OSError:
                pass  # it has hung up already
            check(b"HTTP" not in web.drain(client), "plain text is answered")
    check(server.get().status == 200, "it does not go on")


def test_who_does_not_go_on(s):
    """Within the handshake, and behind it: all are closed, and others are served meanwhile."""
    server = serve(s)
    hello = b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"
    plain = [socket.create_connection(server.address, LIMIT) for _ in range(80)]
    for client in plain[:40]:
        client.sendall(hello)
    secure = [server.connect() for _ in range(40)]
    for client in secure[:20]:
        client.sendall(b"GET / HTTP/1.1\r\nHost: loc")
    for _ in range(3):
        check(server.get().status == 200, "others are not served")
        for client in plain[:40]:
            client.send(b"a")
    for client in plain + secure:
        web.drain(client)
        client.close()
    s.until(lambda: server.process.descriptors() < 24, "their descriptors are closed")


def test_files(s):
    cert, key = certificate(s, "one")
    other, other_key = certificate(s, "other")
    for words, why in (((cert, other_key), "key values mismatch"), ((key, key), "no start line"),
                       ((s.path("none"), key), "No such file"), ((cert, s.path("none")), "No such file")):
        result = site(s, *words).expect(FAILED)
        check(why in result.err, "%s: %s", why, result.err)
    os.chmod(other_key, 0o644)
    result = site(s, other, other_key).expect(FAILED)
    check("chmod 600 " + other_key in result.err, "%s", result)
    check("--certificate" in s.start_program(harness.need_built("tests", "site"), "--key", key).expect(USAGE).err, "")
    both = s.path("both.pem")
    with open(both, "wb") as to:
        for part in (cert, key):
            with open(part, "rb") as file:
                shutil.copyfileobj(file, to)
    os.chmod(both, 0o644)
    check("chmod 600" in site(s, both, None).expect(FAILED).err, "the key is in there")
    os.chmod(both, 0o600)
    check(web.Server(site(s, both, None), trust(cert)).get().status == 200, "both in one file")


def test_expiry(s):
    cert, key = certificate(s, "short", "-days", "3")
    process = site(s, cert, key)
    check(web.Server(process, trust(cert)).get().status == 200, "it is right yet")
    process.wait_for("expires on 20")
    cert, key = certificate(s, "long", "-days", "60")
    process = site(s, cert, key)
    check(web.Server(process, trust(cert)).get().status == 200 and "expire" not in process.err, process.err)


def test_a_new_certificate(s):
    """Files that change are taken without a restart, and connections live on; those that do not fit are not."""
    cert, key = certificate(s, "server")
    server = web.Server(site(s, cert, key), trust(cert))
    with server.socket("/talk", "site-1") as client:
        check(client.receive() == "hello", "%s", client.answer)
        new, new_key = certificate(s, "new")
        shutil.copyfile(new, cert + "~")
        os.replace(cert + "~", cert)
        server.process.wait_for("does not fit the key")
        check(server.get().status == 200, "the one before stays")
        shutil.copyfile(new_key, key + "~")
        os.chmod(key + "~", 0o600)
        os.replace(key + "~", key)
        server.process.wait_for("is used from now on")
        try:
            server.get()
            check(False, "the one before is still used")
        except ssl.SSLCertVerificationError:
            pass
        server.tls = trust(new)
        check(server.get().status == 200, "the new one")
        client.send("abc")
        check(client.receive() == "abc", "who was there before")


def test_login(s):
    login = test_web_login.write(s, "ann:secret\n")
    server = serve(s, "--login", login, "--listen", "0.0.0.0:0")
    check("not encrypted" not in server.process.err, "%s", server.process.err)
    answer = server.get("/", test_web_login.basic("ann:secret"))
    check(answer.status == 200 and "Secure" in answer.headers["set-cookie"].split("; "), "%s", answer)
    cookie = answer.headers["set-cookie"].split(";")[0]
    check(server.socket("/talk", "site-1", "Cookie: " + cookie, origin="https://" + server.host).status == 101, "")


def test_metrics(s):
    """The command's options lead here."""
    s.publish("test:64x48@25", "cam")
    cert, key = certificate(s, "server")
    login = test_web_login.write(s, "prometheus:secret\n")
    server = web.Server(s.start("metrics", "--listen", "127.0.0.1:0", "--certificate", cert, "--key", key, "--login",
                                login, "--host", "node.example", "--timeout", LIMIT), trust(cert))
    check(server.get("/metrics").status == 401, "without a login")
    answer = server.get("/metrics", test_web_login.basic("prometheus:secret"), host="node.example:10816")
    check(metering.Metrics(answer.body.decode()).get("cuframes_stream_up", stream="cam") == 1, "%s", answer)
    check(server.get("/metrics", host="other.example").status == 421, "another name")
    for words in (["--certificate", cert], ["--login", login], ["--host", "a"]):
        result = s.run("metrics", "--once", *words)
        check(result.code == USAGE and words[0] in result.err, "%s", result)


if __name__ == "__main__":
    harness.main(globals())
