"""login.py - how a camera asks for user and password, and whether an answer is right (RFC 7617, 2617, 7616)."""
import base64
import hashlib
import re

REALM, NONCE = "camera", "8b84a3b789283a8bea8da7fa7d41f08b"
HASHES = {"digest": hashlib.md5, "sha-256": hashlib.sha256}


def challenge(kind):
    """The value of WWW-Authenticate for "basic", "digest" or "sha-256"."""
    if kind == "basic":
        return 'Basic realm="%s"' % REALM
    more = ', algorithm=SHA-256' if kind == "sha-256" else ""
    return 'Digest realm="%s", nonce="%s"%s' % (REALM, NONCE, more)


def good(said, method, plan):
    """Whether the Authorization header has what the plan wants, in one of its ways."""
    scheme, _, rest = said.partition(" ")
    if scheme.lower() == "basic":
        wanted = ("%s:%s" % (plan.user, plan.password)).encode()
        return "basic" in plan.logins and base64.b64decode(rest) == wanted
    fields = {key: quoted or bare for key, quoted, bare in re.findall(r'(\w+)=(?:"([^"]*)"|([^",\s]+))', rest)}
    kind = "sha-256" if fields.get("algorithm", "").upper() == "SHA-256" else "digest"
    if kind not in plan.logins or fields.get("username") != plan.user or fields.get("nonce") != NONCE:
        return False
    return fields.get("response") == response(kind, REALM, plan.user, plan.password, method, fields)


def response(kind, realm, user, password, method, fields):
    """What a client that knows the password answers. fields: nonce and uri, and nc, cnonce and qop where it counts."""
    def digest(*parts):
        return HASHES[kind](":".join(parts).encode()).hexdigest()
    counted = [fields[key] for key in ("nc", "cnonce", "qop") if key in fields]
    return digest(digest(user, realm, password), fields["nonce"], *counted, digest(method, fields.get("uri", "")))
