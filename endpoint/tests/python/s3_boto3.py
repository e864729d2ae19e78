"""boto3 against an S3 endpoint: what S3 promises, as assertions. AWS_* name the endpoint."""

import datetime
import hashlib
import unittest.mock
import urllib.error
import urllib.request

import boto3
import botocore.auth
from botocore.client import Config
from botocore.exceptions import ClientError

BUCKET = "xrays"
s3 = boto3.client("s3", config=Config(retries={"max_attempts": 1}, signature_version="s3v4"))


def code_of(call, **arguments):
    """The error code and HTTP status with which a call is refused."""
    try:
        call(**arguments)
    except ClientError as error:
        return error.response["Error"]["Code"], error.response["ResponseMetadata"]["HTTPStatusCode"]
    raise AssertionError("the call was not refused")


def body(**arguments):
    return s3.get_object(Bucket=BUCKET, **arguments)["Body"].read()


def versions():
    first = s3.put_object(Bucket=BUCKET, Key="v", Body=b"one")
    second = s3.put_object(Bucket=BUCKET, Key="v", Body=b"two", Metadata={"priority": "stat"})
    assert first["VersionId"] != second["VersionId"]
    assert body(Key="v") == b"two"
    assert body(Key="v", VersionId=first["VersionId"]) == b"one"
    head = s3.head_object(Bucket=BUCKET, Key="v")
    assert head["Metadata"] == {"priority": "stat"} and head["VersionId"] == second["VersionId"]
    assert head["ETag"] == '"%s"' % hashlib.md5(b"two").hexdigest()

    marker = s3.delete_object(Bucket=BUCKET, Key="v")
    assert marker["DeleteMarker"]
    assert code_of(s3.get_object, Bucket=BUCKET, Key="v") == ("NoSuchKey", 404)
    by_id = dict(Bucket=BUCKET, Key="v", VersionId=marker["VersionId"])
    assert code_of(s3.get_object, **by_id) == ("MethodNotAllowed", 405)
    assert body(Key="v", VersionId=first["VersionId"]) == b"one"
    listed = s3.list_object_versions(Bucket=BUCKET, Prefix="v")
    assert [v["VersionId"] for v in listed["Versions"]] == [second["VersionId"], first["VersionId"]]
    assert [m["IsLatest"] for m in listed["DeleteMarkers"]] == [True]

    s3.delete_object(Bucket=BUCKET, Key="v", VersionId=marker["VersionId"])
    assert body(Key="v") == b"two"
    s3.delete_object(Bucket=BUCKET, Key="v", VersionId=second["VersionId"])
    assert body(Key="v") == b"one"
    gone = dict(Bucket=BUCKET, Key="v", VersionId=second["VersionId"])
    assert code_of(s3.get_object, **gone) == ("NoSuchVersion", 404)
    s3.delete_object(Bucket=BUCKET, Key="v", VersionId=first["VersionId"])


def ranges_and_conditions():
    data = bytes(range(256)) * 4096
    put = s3.put_object(Bucket=BUCKET, Key="r", Body=data, ContentType="image/jpeg")
    got = s3.get_object(Bucket=BUCKET, Key="r", Range="bytes=300000-300009")
    assert got["ResponseMetadata"]["HTTPStatusCode"] == 206
    assert got["ContentRange"] == f"bytes 300000-300009/{len(data)}"
    assert got["ContentType"] == "image/jpeg"
    assert got["Body"].read() == data[300000:300010]
    assert body(Key="r", Range="bytes=-7") == data[-7:]
    past = dict(Bucket=BUCKET, Key="r", Range=f"bytes={len(data)}-")
    assert code_of(s3.get_object, **past) == ("InvalidRange", 416)

    tag, other = put["ETag"], '"%s"' % ("0" * 32)
    assert body(Key="r", IfMatch=tag) == data
    assert code_of(s3.get_object, Bucket=BUCKET, Key="r", IfMatch=other)[1] == 412
    assert code_of(s3.get_object, Bucket=BUCKET, Key="r", IfNoneMatch=tag)[1] == 304
    since = s3.head_object(Bucket=BUCKET, Key="r")["LastModified"]
    assert code_of(s3.get_object, Bucket=BUCKET, Key="r", IfModifiedSince=since)[1] == 304
    only_new = dict(Bucket=BUCKET, Key="r", Body=b"x", IfNoneMatch="*")
    assert code_of(s3.put_object, **only_new) == ("PreconditionFailed", 412)
    assert body(Key="r") == data
    wrong = dict(Bucket=BUCKET, Key="r", Body=b"x", ContentMD5="1B2M2Y8AsgTpgAmY7PhCfg==")
    assert code_of(s3.put_object, **wrong) == ("BadDigest", 400)
    wrong = dict(Bucket=BUCKET, Key="r", Body=b"x", ChecksumSHA256="A" * 43 + "=")
    assert code_of(s3.put_object, **wrong)[1] == 400
    assert body(Key="r") == data
    s3.delete_object(Bucket=BUCKET, Key="r")


def listings():
    keys = [f"l/{folder}/{n:02}" for folder in "abc" for n in range(7)] + ["l/z", "l/é x+y%2F"]
    for key in keys:
        s3.put_object(Bucket=BUCKET, Key=key, Body=b"")
    s3.put_object(Bucket=BUCKET, Key="l/hidden", Body=b"")
    s3.delete_object(Bucket=BUCKET, Key="l/hidden")

    found, pages, token = [], 0, {}
    while True:
        page = s3.list_objects_v2(Bucket=BUCKET, Prefix="l/", MaxKeys=5, **token)
        found += [o["Key"] for o in page.get("Contents", [])]
        pages += 1
        if not page["IsTruncated"]:
            break
        token = {"ContinuationToken": page["NextContinuationToken"]}
    assert found == sorted(keys, key=str.encode), found
    assert pages == 5, pages

    for operation in ["list_objects_v2", "list_objects"]:
        items, prefixes = [], []
        pages = s3.get_paginator(operation).paginate(
            Bucket=BUCKET, Prefix="l/", Delimiter="/", PaginationConfig={"PageSize": 2}
        )
        for page in pages:
            items += [o["Key"] for o in page.get("Contents", [])]
            prefixes += [p["Prefix"] for p in page.get("CommonPrefixes", [])]
        assert prefixes == ["l/a/", "l/b/", "l/c/"], (operation, prefixes)
        assert items == ["l/z", "l/é x+y%2F"], (operation, items)

    after = s3.list_objects_v2(Bucket=BUCKET, Prefix="l/", StartAfter="l/c/05")
    assert [o["Key"] for o in after["Contents"]] == ["l/c/06", "l/z", "l/é x+y%2F"]

    entries = 0
    pages = s3.get_paginator("list_object_versions").paginate(
        Bucket=BUCKET, Prefix="l/", PaginationConfig={"PageSize": 4}
    )
    for page in pages:
        entries += len(page.get("Versions", [])) + len(page.get("DeleteMarkers", []))
    assert entries == len(keys) + 2, entries

    doomed = [{"Key": key} for key in keys] + [{"Key": "never there"}, {"Key": "x" * 1025}]
    answer = s3.delete_objects(Bucket=BUCKET, Delete={"Objects": doomed})
    assert len(answer["Deleted"]) == len(keys) + 1
    assert [e["Code"] for e in answer["Errors"]] == ["KeyTooLongError"]
    assert s3.list_objects_v2(Bucket=BUCKET, Prefix="l/")["KeyCount"] == 0


def hostile_keys():
    keys = [
        "../../../etc/passwd", "..", ".", "a/../../b", "/leading", "//", "trailing/", "%2e%2e%2f",
        "a%b", "a+b c", "ü/日本語/🩻", "'\"<>&;|`$()", "x" * 1024, "é" * 512, "con\\nul", "?versionId=1",
        "#fragment", " ", "a\tb",
    ]
    for key in keys:
        data = key.encode()
        s3.put_object(Bucket=BUCKET, Key=key, Body=data)
        assert body(Key=key) == data, key
        copied = s3.copy_object(
            Bucket=BUCKET, Key="copied", CopySource={"Bucket": BUCKET, "Key": key}
        )
        assert copied["CopyObjectResult"]["ETag"] == '"%s"' % hashlib.md5(data).hexdigest()
        assert body(Key="copied") == data, key
    s3.delete_object(Bucket=BUCKET, Key="copied")
    listed = [o["Key"] for o in s3.list_objects_v2(Bucket=BUCKET)["Contents"]]
    assert sorted(listed) == sorted(keys), set(listed) ^ set(keys)
    s3.delete_objects(Bucket=BUCKET, Delete={"Objects": [{"Key": key} for key in keys]})
    assert s3.list_objects_v2(Bucket=BUCKET)["KeyCount"] == 0
    assert code_of(s3.put_object, Bucket=BUCKET, Key="x" * 1025, Body=b"")[0] == "KeyTooLongError"


def copies():
    first = s3.put_object(Bucket=BUCKET, Key="c", Body=b"1", Metadata={"a": "1"}, ContentType="a/b")
    s3.put_object(Bucket=BUCKET, Key="c", Body=b"2")
    old = {"Bucket": BUCKET, "Key": "c", "VersionId": first["VersionId"]}
    s3.copy_object(Bucket=BUCKET, Key="d", CopySource=old)
    got = s3.get_object(Bucket=BUCKET, Key="d")
    assert (got["Body"].read(), got["Metadata"], got["ContentType"]) == (b"1", {"a": "1"}, "a/b")
    s3.copy_object(
        Bucket=BUCKET, Key="d", CopySource=old, MetadataDirective="REPLACE", Metadata={"b": "2"}
    )
    assert s3.head_object(Bucket=BUCKET, Key="d")["Metadata"] == {"b": "2"}
    # The copy outlives its source.
    s3.delete_object(Bucket=BUCKET, Key="c", VersionId=first["VersionId"])
    assert body(Key="d") == b"1"
    itself = dict(Bucket=BUCKET, Key="d", CopySource={"Bucket": BUCKET, "Key": "d"})
    assert code_of(s3.copy_object, **itself)[0] == "InvalidRequest"
    s3.delete_objects(Bucket=BUCKET, Delete={"Objects": [{"Key": "c"}, {"Key": "d"}]})


def multipart():
    def begin(**arguments):
        return s3.create_multipart_upload(Bucket=BUCKET, Key="m", **arguments)["UploadId"]

    def part(upload, number, data, **arguments):
        tag = s3.upload_part(
            Bucket=BUCKET, Key="m", UploadId=upload, PartNumber=number, Body=data, **arguments
        )["ETag"]
        return {"PartNumber": number, "ETag": tag}

    def complete(upload, parts):
        return s3.complete_multipart_upload(
            Bucket=BUCKET, Key="m", UploadId=upload, MultipartUpload={"Parts": parts}
        )

    large, small = b"L" * (5 << 20), b"s" * 10
    for algorithm in ["CRC32", "CRC32C", "CRC64NVME", "SHA256"]:
        try:
            upload = begin(ChecksumAlgorithm=algorithm, Metadata={"priority": "stat"})
            parts = [
                part(upload, 2, small, ChecksumAlgorithm=algorithm),
                part(upload, 1, large, ChecksumAlgorithm=algorithm),
            ]
        except Exception as error:  # the algorithm wants the package `awscrt`
            assert "crt" in str(error).lower(), error
            for left in s3.list_multipart_uploads(Bucket=BUCKET).get("Uploads", []):
                s3.abort_multipart_upload(Bucket=BUCKET, Key="m", UploadId=left["UploadId"])
            continue
        listed = s3.list_parts(Bucket=BUCKET, Key="m", UploadId=upload)["Parts"]
        assert [(p["PartNumber"], p["Size"]) for p in listed] == [(1, 5 << 20), (2, 10)]
        done = complete(upload, parts[::-1])
        assert done["ETag"].endswith('-2"')
        got = s3.get_object(Bucket=BUCKET, Key="m", ChecksumMode="ENABLED")
        assert got["Body"].read() == large + small and got["Metadata"] == {"priority": "stat"}
        assert got[f"Checksum{algorithm}"], got
        # The same completion once more, as after a lost answer, is no second object.
        assert complete(upload, parts[::-1])["VersionId"] == done["VersionId"]
    assert body(Key="m", Range=f"bytes={(5 << 20) - 2}-{(5 << 20) + 1}") == b"LLss"
    assert body(Key="m", PartNumber=2) == small
    head = s3.head_object(Bucket=BUCKET, Key="m", PartNumber=1)
    assert head["PartsCount"] == 2 and head["ContentLength"] == 5 << 20

    upload = begin()
    wrong = [part(upload, 1, small), part(upload, 2, small)]
    for parts, refusal in [
        (wrong, "EntityTooSmall"),
        (wrong[::-1], "InvalidPartOrder"),
        ([{"PartNumber": 9, "ETag": "x"}], "InvalidPart"),
    ]:
        try:
            complete(upload, parts)
            raise AssertionError(refusal)
        except ClientError as error:
            assert error.response["Error"]["Code"] == refusal, error
    s3.upload_part_copy(
        Bucket=BUCKET, Key="m", UploadId=upload, PartNumber=3,
        CopySource={"Bucket": BUCKET, "Key": "m"}, CopySourceRange="bytes=0-99",
    )
    assert [u["UploadId"] for u in s3.list_multipart_uploads(Bucket=BUCKET)["Uploads"]] == [upload]
    s3.abort_multipart_upload(Bucket=BUCKET, Key="m", UploadId=upload)
    assert "Uploads" not in s3.list_multipart_uploads(Bucket=BUCKET)
    gone = dict(Bucket=BUCKET, Key="m", UploadId=upload)
    assert code_of(s3.list_parts, **gone) == ("NoSuchUpload", 404)
    s3.delete_object(Bucket=BUCKET, Key="m")


def send(url, data):
    try:
        with urllib.request.urlopen(urllib.request.Request(url, data=data, method="PUT")) as answer:
            return answer.status
    except urllib.error.HTTPError as error:
        return error.code


def signatures():
    wrong = boto3.client("s3", aws_secret_access_key="wrong", aws_access_key_id="trial")
    refused = code_of(wrong.list_objects_v2, Bucket=BUCKET)
    assert refused == ("SignatureDoesNotMatch", 403), refused
    unknown = boto3.client("s3", aws_secret_access_key="trialtrial", aws_access_key_id="nobody")
    assert code_of(unknown.list_objects_v2, Bucket=BUCKET) == ("InvalidAccessKeyId", 403)
    try:
        urllib.request.urlopen(f"{s3.meta.endpoint_url}/{BUCKET}")
        raise AssertionError("an unsigned request passed")
    except urllib.error.HTTPError as error:
        assert error.code == 403

    def sign(key, seconds):
        return s3.generate_presigned_url(
            "put_object", Params={"Bucket": BUCKET, "Key": key}, ExpiresIn=seconds
        )

    url = sign("signed é/+", 60)
    assert send(url, b"data") == 200
    assert body(Key="signed é/+") == b"data", body(Key="signed é/+")
    assert send(url.replace("signed", "other"), b"data") == 403
    assert code_of(s3.head_object, Bucket=BUCKET, Key="other é/+")[1] == 404
    then = botocore.auth.get_current_datetime() - datetime.timedelta(minutes=2)
    with unittest.mock.patch("botocore.auth.get_current_datetime", lambda: then):
        late, early = sign("late", 60), sign("early", 600)
    assert send(late, b"data") == 403
    assert send(early, b"data") == 200
    assert code_of(s3.head_object, Bucket=BUCKET, Key="late")[1] == 404
    s3.delete_object(Bucket=BUCKET, Key="early")
    s3.delete_object(Bucket=BUCKET, Key="signed é/+")


def buckets():
    assert [b["Name"] for b in s3.list_buckets()["Buckets"]] == ["lobar-models", BUCKET]
    assert s3.get_bucket_versioning(Bucket=BUCKET)["Status"] == "Enabled"
    assert s3.get_bucket_location(Bucket=BUCKET)["LocationConstraint"] is None
    assert code_of(s3.create_bucket, Bucket=BUCKET)[1] == 409
    assert code_of(s3.delete_bucket, Bucket=BUCKET) == ("AccessDenied", 403)
    assert code_of(s3.list_objects_v2, Bucket="absent") == ("NoSuchBucket", 404)
    assert code_of(s3.put_object, Bucket="absent", Key="k", Body=b"") == ("NoSuchBucket", 404)

    s3.create_bucket(Bucket="second")
    s3.head_bucket(Bucket="second")
    put = s3.put_object(Bucket="second", Key="k", Body=b"1")
    assert "VersionId" not in put
    s3.put_object(Bucket="second", Key="k", Body=b"2")
    assert code_of(s3.delete_bucket, Bucket="second") == ("BucketNotEmpty", 409)
    assert len(s3.list_object_versions(Bucket="second")["Versions"]) == 1
    s3.put_bucket_versioning(Bucket="second", VersioningConfiguration={"Status": "Enabled"})
    new = s3.put_object(Bucket="second", Key="k", Body=b"3")["VersionId"]
    got = s3.get_object(Bucket="second", Key="k", VersionId="null")
    assert got["Body"].read() == b"2"
    s3.put_bucket_versioning(Bucket="second", VersioningConfiguration={"Status": "Suspended"})
    s3.put_object(Bucket="second", Key="k", Body=b"4")
    listed = s3.list_object_versions(Bucket="second")["Versions"]
    assert [v["VersionId"] for v in listed] == ["null", new]
    for version in listed:
        s3.delete_object(Bucket="second", Key="k", VersionId=version["VersionId"])
    s3.delete_bucket(Bucket="second")


for check in [
    buckets, versions, ranges_and_conditions, listings, hostile_keys, copies, multipart, signatures,
]:
    print(check.__name__, flush=True)
    check()
