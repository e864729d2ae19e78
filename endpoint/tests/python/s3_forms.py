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

# `${filename}` stands for the name of the file, without its folders.
named = s3.generate_presigned_post(
    BUCKET, "in/${filename}", Conditions=[["starts-with", "$key", "in/"]], ExpiresIn=60
)
for name, key in [("a b.jpg", "in/a b.jpg"), ("C:\\films\\c.jpg", "in/c.jpg"), ("x/d.jpg", "in/d.jpg")]:
    assert send(named, name) in (200, 201, 204), name
    assert body(key) == b"picture", key

# What the policy does not allow is forbidden; a policy that is none is no request.
narrow = s3.generate_presigned_post(
    BUCKET, "in/x.jpg", Conditions=[["starts-with", "$key", "in/"]], ExpiresIn=60
)
narrow["fields"]["key"] = "elsewhere/x.jpg"
assert send(narrow) == 403
small = s3.generate_presigned_post(
    BUCKET, "in/x.jpg", Conditions=[["content-length-range", 1, 3]], ExpiresIn=60
)
assert send(small) == 400
