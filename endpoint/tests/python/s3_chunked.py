"""Bodies in the coding aws-chunked, as clients send them and as they may be cut or wrong. AWS_* name the
endpoint."""

import base64
import hashlib
import hmac
import http.client
import os
import urllib.parse
import zlib
from datetime import datetime, timezone

HOST = urllib.parse.urlsplit(os.environ["AWS_ENDPOINT_URL"]).netloc
KEY, SECRET = os.environ["AWS_ACCESS_KEY_ID"], os.environ["AWS_SECRET_ACCESS_KEY"]
DATA = b"hello, chunks"
CRC32 = base64.b64encode(zlib.crc32(DATA).to_bytes(4, "big")).decode()


def mac(key, text):
    return hmac.new(key, text.encode(), hashlib.sha256).digest()


class Signer:
    """Signature version 4 of one request and of its chunks."""

    def __init__(self):
        now = datetime.now(timezone.utc)
        self.time, day = now.strftime("%Y%m%dT%H%M%SZ"), now.strftime("%Y%m%d")
        self.scope = f"{day}/us-east-1/s3/aws4_request"
        key = mac(b"AWS4" + SECRET.encode(), day)
        for part in ["us-east-1", "s3", "aws4_request"]:
            key = mac(key, part)
        self.key = key

    def sign(self, kind, *lines):
        text = "\n".join([kind, self.time, self.scope, *lines])
        self.last = mac(self.key, text).hex()
        return self.last

    def headers(self, path, content, extra):
        headers = {"host": HOST, "x-amz-content-sha256": content, "x-amz-date": self.time}
        headers |= {"x-amz-decoded-content-length": str(len(DATA)), **extra}
        names = ";".join(sorted(headers))
        canonical = "".join(f"{name}:{headers[name]}\n" for name in sorted(headers))
        request = f"PUT\n{path}\n\n{canonical}\n{names}\n{content}"
        digest = hashlib.sha256(request.encode()).hexdigest()
        signature = self.sign("AWS4-HMAC-SHA256", digest)
        credential = f"Credential={KEY}/{self.scope}"
        value = f"AWS4-HMAC-SHA256 {credential}, SignedHeaders={names}, Signature={signature}"
        return headers | {"authorization": value, "content-encoding": "aws-chunked"}

    def chunk(self, data):
        empty = hashlib.sha256(b"").hexdigest()
        digest = hashlib.sha256(data).hexdigest()
        signature = self.sign("AWS4-HMAC-SHA256-PAYLOAD", self.last, empty, digest)
        return f"{len(data):x};chunk-signature={signature}\r\n".encode() + data + b"\r\n"


def put(key, content, body, extra=None):
    """The status of the answer to a body; `body` makes it of a signer."""
    signer, path = Signer(), f"/xrays/{key}"
    headers = signer.headers(path, content, extra or {})
    connection = http.client.HTTPConnection(HOST)
    connection.request("PUT", path, body(signer), headers)
    answer = connection.getresponse()
    answer.read()
    connection.close()
    return answer.status


SIGNED, UNSIGNED = "STREAMING-AWS4-HMAC-SHA256-PAYLOAD", "STREAMING-UNSIGNED-PAYLOAD-TRAILER"
PLAIN = f"{len(DATA):x}\r\n".encode() + DATA + b"\r\n"


def announced(key, name, trailer):
    body = PLAIN + b"0\r\n" + trailer + b"\r\n"
    return put(key, UNSIGNED, lambda _: body, {"x-amz-trailer": name})


assert put("signed", SIGNED, lambda s: s.chunk(DATA) + s.chunk(b"")) == 200
assert put("cut", SIGNED, lambda s: s.chunk(DATA)) == 400, "no final chunk"
assert put("plain", UNSIGNED, lambda _: PLAIN + b"0\r\n\r\n") == 200, "no trailer announced"
assert put("plain-cut", UNSIGNED, lambda _: PLAIN) == 400, "no final chunk"

crc32 = f"x-amz-checksum-crc32:{CRC32}\r\n".encode()
assert announced("right", "x-amz-checksum-crc32", crc32) == 200
assert announced("wrong", "x-amz-checksum-crc32", b"x-amz-checksum-crc32:AAAAAA==\r\n") == 400
assert announced("missing", "x-amz-checksum-crc32", b"") == 400
assert announced("other", "x-amz-checksum-crc32c", crc32) == 400
assert announced("unknown", "x-amz-checksum-crc99", b"x-amz-checksum-crc99:AAAA\r\n") == 400
cut = put("trailer-cut", UNSIGNED, lambda _: PLAIN, {"x-amz-trailer": "x-amz-checksum-crc32"})
assert cut == 400, "no final chunk"
