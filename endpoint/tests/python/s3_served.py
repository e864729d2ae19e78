"""What a browser is told of an object that it is given a link to. AWS_* name the endpoint."""

import urllib.request

import boto3
from botocore.client import Config

s3 = boto3.client("s3", config=Config(signature_version="s3v4"))


def served(key, **overrides):
    named = {"Bucket": "xrays", "Key": key, **overrides}
    url = s3.generate_presigned_url("get_object", Params=named, ExpiresIn=60)
    with urllib.request.urlopen(url) as answer:
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["content-security-policy"] == "sandbox"
        return answer.headers["content-disposition"], answer.headers["content-type"]


page = {"Bucket": "xrays", "Body": b"<script>", "ContentType": "text/html"}
s3.put_object(**page, Key="plain")
assert served("plain") == ("attachment", "text/html")
s3.put_object(**page, Key="inline", ContentDisposition='inline; filename="a.html"')
assert served("inline") == ('attachment; filename="a.html"', "text/html")
# What is kept of the object stays what was said of it.
assert s3.head_object(Bucket="xrays", Key="inline")["ContentDisposition"].startswith("inline")
assert "ContentDisposition" not in s3.head_object(Bucket="xrays", Key="plain")
asked = served("plain", ResponseContentDisposition="inline", ResponseContentType="text/html")
assert asked == ("attachment", "text/html"), asked
