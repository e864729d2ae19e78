"""Form uploads as a browser sends them, where they are switched on. AWS_* name the endpoint."""

import urllib.error
import urllib.request
import uuid

import boto3
from botocore.client import Config

BUCKET = "xrays"
s3 = boto3.client("s3", config=Config(signature_version="s3v4"))


def send(form, name="f", origin="https://portal.example"):
    """The status of the answer to a form with one file."""
    boundary, text = uuid.uuid4().hex, ""
    for field, value in form["fields"].items():
        text += f'--{boundary}\r\nContent-Disposition: form-data; name="{field}"\r\n\r\n{value}\r\n'
    text += f'--{boundary}\r\nContent-Disposition: form-data; name="file"; filename="{name}"\r\n\r\n'
    data = text.encode() + b"picture" + f"\r\n--{boundary}--\r\n".encode()
    headers = {
        "Content-Type": f"multipart/form-data; boundary={boundary}",
        "Origin": origin,
        "Sec-Fetch-Site": "cross-site",
    }
    try:
        with urllib.request.urlopen(urllib.request.Request(form["url"], data, headers)) as answer:
            return answer.status
    except urllib.error.HTTPError as error:
        return error.code


def body(key):
    return s3.get_object(Bucket=BUCKET, Key=key)["Body"].read()


form = s3.generate_presigned_post(BUCKET, "form.jpg", ExpiresIn=60)
assert send(form) in (200, 201, 204)
assert body("form.jpg") == b"picture"

# Nobody signed this one.
forged = {"url": form["url"], "fields": {"key": "forged.html"}}
assert send(forged) == 403
