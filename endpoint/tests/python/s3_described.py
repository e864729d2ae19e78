"""What S3 answers of a private bucket without tags, and conditions and copies as clients write them. AWS_* name
the endpoint."""

import urllib.request

import boto3
from botocore.client import Config
from botocore.exceptions import ClientError

BUCKET = "xrays"
s3 = boto3.client("s3", config=Config(retries={"max_attempts": 1}, signature_version="s3v4"))


def code_of(call, **arguments):
    try:
        call(Bucket=BUCKET, **arguments)
    except ClientError as error:
        return error.response["Error"]["Code"], error.response["ResponseMetadata"]["HTTPStatusCode"]
    raise AssertionError("the call was not refused")


put = s3.put_object(Bucket=BUCKET, Key="k", Body=b"abc", ChecksumAlgorithm="SHA256")
k = {"Bucket": BUCKET, "Key": "k"}

tags = s3.get_object_tagging(**k)
assert tags["TagSet"] == [] and tags["VersionId"] == put["VersionId"], tags
assert code_of(s3.get_object_tagging, Key="absent") == ("NoSuchKey", 404)

wanted = ["ETag", "ObjectSize", "StorageClass", "Checksum", "ObjectParts"]
told = s3.get_object_attributes(**k, ObjectAttributes=wanted)
assert told["ETag"].strip('"') == put["ETag"].strip('"'), told
assert told["ObjectSize"] == 3 and told["StorageClass"] == "STANDARD"
assert told["Checksum"]["ChecksumSHA256"] == put["ChecksumSHA256"]
assert "ObjectParts" not in told and told["VersionId"] == put["VersionId"]
assert "ETag" not in s3.get_object_attributes(**k, ObjectAttributes=["ObjectSize"])
upload = s3.create_multipart_upload(Bucket=BUCKET, Key="m")["UploadId"]
m = {"Bucket": BUCKET, "Key": "m", "UploadId": upload}
bodies = [b"a" * (5 << 20), b"b" * (5 << 20), b"c"]
parts = [
    {"PartNumber": n, "ETag": s3.upload_part(**m, PartNumber=n, Body=body)["ETag"]}
    for n, body in enumerate(bodies, 1)
]
s3.complete_multipart_upload(**m, MultipartUpload={"Parts": parts})
page = s3.get_object_attributes(
    Bucket=BUCKET, Key="m", ObjectAttributes=["ObjectParts"], MaxParts=2
)["ObjectParts"]
assert page["TotalPartsCount"] == 3 and page["IsTruncated"], page
assert [part["Size"] for part in page["Parts"]] == [5 << 20, 5 << 20]
rest = s3.get_object_attributes(
    Bucket=BUCKET, Key="m", ObjectAttributes=["ObjectParts"],
    PartNumberMarker=page["NextPartNumberMarker"],
)["ObjectParts"]
assert [part["Size"] for part in rest["Parts"]] == [1] and not rest["IsTruncated"], rest

for acl in [s3.get_object_acl(**k), s3.get_bucket_acl(Bucket=BUCKET)]:
    assert [grant["Permission"] for grant in acl["Grants"]] == ["FULL_CONTROL"]
    assert acl["Grants"][0]["Grantee"]["ID"] == acl["Owner"]["ID"]
s3.put_object_acl(**k, ACL="private")
same = s3.get_object_acl(**k)
s3.put_object_acl(**k, AccessControlPolicy={name: same[name] for name in ["Grants", "Owner"]})
refused = ("AccessControlListNotSupported", 400)
assert code_of(s3.put_object_acl, Key="k", ACL="public-read") == refused
told = s3.get_bucket_notification_configuration(Bucket=BUCKET)
assert not {"QueueConfigurations", "TopicConfigurations"} & set(told), told

etag = put["ETag"]
assert s3.get_object(**k, IfMatch=f'"other", {etag}')["Body"].read() == b"abc"
assert code_of(s3.get_object, Key="k", IfMatch='"one", "other"')[1] == 412
assert code_of(s3.get_object, Key="k", IfNoneMatch=f'"other",{etag}')[1] == 304
assert s3.get_object(**k, IfNoneMatch='"one", "other"')["Body"].read() == b"abc"

# A range that is none is ignored, signed or not; one that cannot be had is refused.
s3.put_object(Bucket=BUCKET, Key="ranged", Body=b"0123456789")
signed = s3.generate_presigned_url("get_object", Params={"Bucket": BUCKET, "Key": "ranged"})
for wanted in ["bytes=5-2", "bytes=x-y", "lines=1-2", "bytes=0-1,4-5"]:
    got = s3.get_object(Bucket=BUCKET, Key="ranged", Range=wanted)
    assert got["ResponseMetadata"]["HTTPStatusCode"] == 200 and "ContentRange" not in got, got
    assert got["Body"].read() == b"0123456789", wanted
    assert s3.head_object(Bucket=BUCKET, Key="ranged", Range=wanted)["ContentLength"] == 10
    with urllib.request.urlopen(urllib.request.Request(signed, headers={"Range": wanted})) as answer:
        assert answer.status == 200 and answer.read() == b"0123456789", wanted
part = s3.get_object(Bucket=BUCKET, Key="ranged", Range="bytes=2-4")
assert part["Body"].read() == b"234" and part["ContentRange"] == "bytes 2-4/10"
assert code_of(s3.get_object, Key="ranged", Range="bytes=10-") == ("InvalidRange", 416)
stranger = boto3.client("s3", aws_access_key_id="trial", aws_secret_access_key="wrong")
wrong = code_of(stranger.get_object, Key="ranged", Range="bytes=5-2")
assert wrong == ("SignatureDoesNotMatch", 403), wrong

# A space in the source of a copy is `+` or `%20`, and a plus is `%2B`. boto3 writes `%20` itself.
source = ""


def write_source(request, **_):
    del request.headers["x-amz-copy-source"]
    request.headers["x-amz-copy-source"] = source


for operation in ["CopyObject", "UploadPartCopy"]:
    s3.meta.events.register(f"before-sign.s3.{operation}", write_source)
s3.put_object(Bucket=BUCKET, Key="a b+c", Body=b"copied")
for source in [f"{BUCKET}/a+b%2Bc", f"{BUCKET}/a%20b%2Bc"]:
    s3.copy_object(Bucket=BUCKET, Key="copy", CopySource="replaced/k")
    assert s3.get_object(Bucket=BUCKET, Key="copy")["Body"].read() == b"copied"
    s3.delete_object(Bucket=BUCKET, Key="copy")
    upload = s3.create_multipart_upload(Bucket=BUCKET, Key="copy")["UploadId"]
    c = {"Bucket": BUCKET, "Key": "copy", "UploadId": upload}
    s3.upload_part_copy(**c, PartNumber=1, CopySource="replaced/k")
    s3.abort_multipart_upload(**c)
