#!/usr/bin/env python3
"""test_access.py - servers that want TLS, certificates or a token: with what is right, and what is said without it."""
import subprocess

import fleet
import harness
from harness import FAILED, check


def certificate(s, name, address="127.0.0.1"):
    cert, key = s.path(name + ".pem"), s.path(name + ".key")
    done = subprocess.run([harness.need_program("openssl"), "req", "-x509", "-newkey", "ec", "-pkeyopt",
                           "ec_paramgen_curve:prime256v1", "-nodes", "-subj", "/CN=" + name, "-addext",
                           "subjectAltName=IP:" + address, "-keyout", key, "-out", cert],
                          capture_output=True, text=True)
    check(done.returncode == 0, "openssl: %s", done.stderr)
    return cert, key


def refused(f, word, *arguments):
    said = f.run("status", *arguments, code=FAILED).err
    check(word in said, "%s: %s", arguments, said)


def test_certificates(s):
    cert, key = certificate(s, "server")
    own, own_key = certificate(s, "client")
    other, other_key = certificate(s, "other")
    f = fleet.Fleet(s, "--tlsverify", "--tlscert", cert, "--tlskey", key, "--tlscacert", own)
    url = ("--nats", "tls://127.0.0.1:%d" % f.port)
    client = ("--certificate", own, "--key", own_key)
    f.run("status", *url, "--ca", cert, *client)
    refused(f, "--ca names", *url, *client)
    refused(f, "--ca names", *url, *client, "--ca", other)
    refused(f, "it may want a certificate", *url, "--ca", cert)
    refused(f, "it may want a certificate", *url, "--ca", cert, "--certificate", other, "--key", other_key)
    refused(f, "mismatch", *url, "--ca", cert, "--certificate", own, "--key", other_key)
    refused(f, "No such file", *url, "--ca", s.path("none"))
    f.end()


def test_a_name_that_is_not_the_servers(s):
    cert, key = certificate(s, "elsewhere", "192.0.2.1")
    f = fleet.Fleet(s, "--tls", "--tlscert", cert, "--tlskey", key)
    refused(f, "name that is in the server's certificate", "--nats", "tls://127.0.0.1:%d" % f.port, "--ca", cert)
    f.end()


def test_a_token(s):
    """One that is wrong is named; an agent goes on asking, and is there once the server takes it."""
    f = fleet.Fleet(s, "--auth", "first")
    url = "nats://second@127.0.0.1:%d" % f.port
    refused(f, "another user and password, or token", "--nats", url)
    refused(f, "No such file", "--nats", url, "--credentials", s.path("none"))
    node = f.node("n1", "--nats", url)
    node.wait_said("another user and password, or token")
    check("second" not in node.said(), "the token is shown: %s", node.said())
    f.end_server()
    f.options = ("--auth", "second")
    f.begin_server()
    s.until(lambda: "n1" in f.run("status", "--nats", url).out, "n1 is there")
    refused(f, "has no TLS", "--nats", "tls://127.0.0.1:%d" % f.port)
    f.end()


if __name__ == "__main__":
    harness.main(globals())
