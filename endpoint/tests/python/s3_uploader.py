"""A machine that uploads for the site north, and may do nothing else. AWS_* name the endpoint and its key pair."""

import io

import boto3
from boto3.s3.transfer import TransferConfig
from botocore.exceptions import ClientError

BUCKET, OWN, OTHER = "xrays", "incoming/north/", "incoming/south/"
s3 = boto3.client("s3")


def refused(call, **arguments):
    """It is, and says no more than that."""
    try:
        call(Bucket=BUCKET, **arguments)
    except ClientError as error:
        assert error.response["ResponseMetadata"]["HTTPStatusCode"] == 403, error
        return
    raise AssertionError(f"{call.__name__} {arguments} was allowed")


s3.head_bucket(Bucket=BUCKET)
s3.upload_fileobj(io.BytesIO(b"picture"), BUCKET, OWN + "one.jpg", ExtraArgs={"Metadata": {"priority": "stat"}})
parts = TransferConfig(multipart_threshold=5 << 20, multipart_chunksize=5 << 20)
s3.upload_fileobj(io.BytesIO(b"x" * (11 << 20)), BUCKET, OWN + "large.jpg", Config=parts)

# One that was begun is its own until it ends.
upload = s3.create_multipart_upload(Bucket=BUCKET, Key=OWN + "begun.jpg")["UploadId"]
mine = {"Bucket": BUCKET, "Key": OWN + "begun.jpg", "UploadId": upload}
s3.upload_part(PartNumber=1, Body=b"part", **mine)
assert len(s3.list_parts(**mine)["Parts"]) == 1
s3.abort_multipart_upload(**mine)

for key in [OWN + "one.jpg", OWN + "none.jpg", OTHER + "there.jpg"]:
    refused(s3.get_object, Key=key)
    refused(s3.head_object, Key=key)
    refused(s3.delete_object, Key=key)
    refused(s3.delete_objects, Delete={"Objects": [{"Key": key}]})
    refused(s3.copy_object, Key=OWN + "copy.jpg", CopySource={"Bucket": BUCKET, "Key": key})
refused(s3.put_object, Key=OTHER + "x.jpg", Body=b"x")
refused(s3.create_multipart_upload, Key=OTHER + "x.jpg")
for prefix in ["", OWN, OTHER]:
    refused(s3.list_objects_v2, Prefix=prefix)
    refused(s3.list_objects, Prefix=prefix, Delimiter="/")
    refused(s3.list_object_versions, Prefix=prefix)
    refused(s3.list_multipart_uploads, Prefix=prefix)
