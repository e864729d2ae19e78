"""What is signed by Signature Version 2 is refused, whoever signs it and however: in the header, in the URL, in a form.
https://docs.aws.amazon.com/AmazonS3/latest/API/RESTAuthentication.html"""

import base64
import email.utils
import hashlib
import hmac
import http.client
import json
import os
import time
import urllib.parse

ENDPOINT = urllib.parse.urlsplit(os.environ["AWS_ENDPOINT_URL"])
ACCESS_KEY = os.environ["AWS_ACCESS_KEY_ID"]
SECRET_KEY = os.environ["AWS_SECRET_ACCESS_KEY"]
PATH = "/xrays/incoming/north/there.jpg"


def signature(text):
    mac = hmac.new(SECRET_KEY.encode(), text.encode(), hashlib.sha1)
    return base64.b64encode(mac.digest()).decode()


def ask(method, path, headers, body=None):
    connection = http.client.HTTPConnection(ENDPOINT.hostname, ENDPOINT.port)
    connection.request(method, path, body, headers)
    answer = connection.getresponse()
    return answer.status, answer.read().decode()


def refused(said):
    status, body = said
    assert status == 403, (status, body)
    assert not body or "Signature Version 4" in body, body


for method in ["GET", "HEAD"]:
    date = email.utils.formatdate(usegmt=True)
    signed = signature(f"{method}\n\n\n{date}\n{PATH}")
    refused(ask(method, PATH, {"Date": date, "Authorization": f"AWS {ACCESS_KEY}:{signed}"}))
    expires = int(time.time()) + 600
    query = {
        "AWSAccessKeyId": ACCESS_KEY,
        "Expires": expires,
        "Signature": signature(f"{method}\n\n\n{expires}\n{PATH}"),
    }
    refused(ask(method, f"{PATH}?{urllib.parse.urlencode(query)}", {}))

policy = {
    "expiration": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + 600)),
    "conditions": [{"bucket": "xrays"}, ["starts-with", "$key", ""]],
}
policy = base64.b64encode(json.dumps(policy).encode()).decode()
fields = {
    "key": "incoming/north/form.jpg",
    "AWSAccessKeyId": ACCESS_KEY,
    "policy": policy,
    "signature": signature(policy),
}
parts = [f'--b\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n' for name, value in fields.items()]
parts.append('--b\r\nContent-Disposition: form-data; name="file"; filename="f.jpg"\r\n\r\npicture\r\n--b--\r\n')
refused(ask("POST", "/xrays", {"Content-Type": "multipart/form-data; boundary=b"}, "".join(parts)))
