# The bucket of models' weights, beside that of uploads and never in it: it announces nothing. A key always
# holds the same bytes, named by their SHA-256, so there are no versions to keep.

resource "aws_s3_bucket" "models" {
  bucket        = var.models_bucket == null ? "${var.bucket}-models" : var.models_bucket
  force_destroy = var.force_destroy
}

resource "aws_s3_bucket_server_side_encryption_configuration" "models" {
  bucket = aws_s3_bucket.models.id

  rule {
    # With a key of one's own, one request for it serves many objects.
    bucket_key_enabled = var.kms_key_arn != null

    apply_server_side_encryption_by_default {
      sse_algorithm     = var.kms_key_arn == null ? "AES256" : "aws:kms"
      kms_master_key_id = var.kms_key_arn
    }
  }
}

resource "aws_s3_bucket_public_access_block" "models" {
  bucket = aws_s3_bucket.models.id

  block_public_acls       = true
  block_public_policy     = true
  ignore_public_acls      = true
  restrict_public_buckets = true
}
