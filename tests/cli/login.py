"""login.py - how a camera asks for user and password, and whether an answer is right (RFC 7617, 2617, 7616)."""
import base64
import hashlib
import re

REALM, ODD_REALM, NONCE = "camera", 'a "camera", of \\ odd=names; (4K)', "8b84a3b789283a8bea8da7fa7d41f08b"
HASHES = {"digest": "md5", "sha-256": "sha256", "sha-512-256": "sha512_256"}
OPAQUE = "5ccc069c403ebaf9f0171e9517f40e41"


def split(kind):
    """Of "sha-256+qop+odd": which digest, and what is particular about it: qop, sess, odd (its realm), opaque."""
    name, *more = kind.split("+")
    return name, more


def quoted(text):
    return '"%s"' % text.replace("\\", "\\\\").replace('"', '\\"')


def realm(more):
    return ODD_REALM if "odd" in more else REALM


def challenge(kind, nonce=NONCE, stale=False):
    """The value of WWW-Authenticate."""
    name, more = split(kind)
    if name == "basic":
        return "Basic realm=" + quoted(realm(more))
    algorithm = "" if name == "digest" and "sess" not in more else {"digest": "MD5"}.get(name, name.upper())
    fields = ["realm=" + quoted(realm(more)), 'nonce="%s"' % nonce]
    if algorithm:
        fields.append("algorithm=%s%s" % (algorithm, "-sess" if "sess" in more else ""))
    if "opaque" in more:
        fields.append('opaque="%s"' % OPAQUE)
    if "qop" in more or "sess" in more:
        fields.append('qop="auth,auth-int"')
    if stale:
        fields.append("stale=true")
    return "Digest " + ", ".join(fields)


def fields_of(text):
    found = re.findall(r'([\w]+)=(?:"((?:[^"\\]|\\.)*)"|([^",\s]+))', text)
    return {key: re.sub(r"\\(.)", r"\1", quoted_text) or bare for key, quoted_text, bare in found}


def good(said, method, plan, nonce=NONCE):
    """Whether the Authorization header has what the plan wants, in one of its ways."""
    scheme, _, rest = said.partition(" ")
    if scheme.lower() == "basic":
        wanted = ("%s:%s" % (plan.user, plan.password)).encode()
        return any(split(kind)[0] == "basic" for kind in plan.logins) and base64.b64decode(rest) == wanted
    return any(answers(fields_of(rest), kind, method, plan, nonce) for kind in plan.logins)


def answers(fields, kind, method, plan, nonce):
    """Whether this is the answer to that challenge."""
    name, more = split(kind)
    algorithm = fields.get("algorithm", "MD5").lower().removesuffix("-sess").replace("md5", "digest")
    if name != algorithm or fields.get("username") != plan.user or fields.get("nonce") != nonce:
        return False
    if fields.get("realm") != realm(more) or ("opaque" in more and fields.get("opaque") != OPAQUE):
        return False
    wants_count = "qop" in more or "sess" in more
    if wants_count != ("qop" in fields):
        return False
    sess = "sess" in more
    return fields.get("response") == response(name, realm(more), plan.user, plan.password, method, fields, sess)


def response(kind, realm_text, user, password, method, fields, sess=False):
    """What a client that knows the password answers. fields: nonce and uri, and nc, cnonce and qop where it counts."""
    def digest(*parts):
        return hashlib.new(HASHES[kind], ":".join(parts).encode()).hexdigest()
    counted = [fields[key] for key in ("nc", "cnonce", "qop") if key in fields]
    secret = digest(user, realm_text, password)
    secret = digest(secret, fields["nonce"], fields["cnonce"]) if sess else secret
    return digest(secret, fields["nonce"], *counted, digest(method, fields.get("uri", "")))
