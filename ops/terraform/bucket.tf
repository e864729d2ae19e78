# The bucket that hospitals upload to.

resource "aws_s3_bucket" "uploads" {
  bucket        = var.bucket
  force_destroy = var.force_destroy
}

# With versions, what is analysed is what was notified, also when a key is written twice at once: an
# unversioned bucket may then send one event for both.
resource "aws_s3_bucket_versioning" "uploads" {
  bucket = aws_s3_bucket.uploads.id

  versioning_configuration {
    status = "Enabled"
  }
}

resource "aws_s3_bucket_server_side_encryption_configuration" "uploads" {
  bucket = aws_s3_bucket.uploads.id

  rule {
    # With a key of one's own, one request for it serves many objects.
    bucket_key_enabled = var.kms_key_arn != null

    apply_server_side_encryption_by_default {
      sse_algorithm     = var.kms_key_arn == null ? "AES256" : "aws:kms"
      kms_master_key_id = var.kms_key_arn
    }
  }
}

resource "aws_s3_bucket_public_access_block" "uploads" {
  bucket = aws_s3_bucket.uploads.id

  block_public_acls       = true
  block_public_policy     = true
  ignore_public_acls      = true
  restrict_public_buckets = true
}

resource "aws_s3_bucket_lifecycle_configuration" "uploads" {
  # A rule on noncurrent versions asks for versioning.
  depends_on = [aws_s3_bucket_versioning.uploads]
  bucket     = aws_s3_bucket.uploads.id

  rule {
    id     = "replaced-and-deleted-versions"
    status = "Enabled"

    filter {}

    noncurrent_version_expiration {
      noncurrent_days = var.noncurrent_days
    }

    abort_incomplete_multipart_upload {
      days_after_initiation = 7
    }
  }
}

# Both families: a new object is work, a removed one takes its image off the list.
resource "aws_s3_bucket_notification" "uploads" {
  # S3 sends a test message when this is made, and refuses a queue that does not let it.
  depends_on = [aws_sqs_queue_policy.uploads]
  bucket     = aws_s3_bucket.uploads.id

  queue {
    id            = "lobar-uploads"
    queue_arn     = aws_sqs_queue.uploads.arn
    events        = ["s3:ObjectCreated:*", "s3:ObjectRemoved:*"]
    filter_prefix = var.prefix
  }
}
