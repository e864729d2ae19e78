# Queues, each with a dead-letter queue that keeps messages longer: the clock of a message does not start
# anew when it is moved there.

locals {
  days         = 24 * 60 * 60
  source_days  = 7
  dead_days    = 14 # SQS's longest
  visible_soon = 60 # seconds; Lobar sets it on every receive and extends it

  job_queues = var.jobs_on_sqs ? toset(["stat", "routine"]) : toset([])
}

resource "aws_sqs_queue" "uploads_dead" {
  name                      = "${var.name}-uploads-dead"
  message_retention_seconds = local.dead_days * local.days
  sqs_managed_sse_enabled   = true
}

resource "aws_sqs_queue" "uploads" {
  name                       = "${var.name}-uploads"
  message_retention_seconds  = local.source_days * local.days
  visibility_timeout_seconds = local.visible_soon
  receive_wait_time_seconds  = 20
  sqs_managed_sse_enabled    = true

  redrive_policy = jsonencode({
    deadLetterTargetArn = aws_sqs_queue.uploads_dead.arn
    maxReceiveCount     = var.max_receives
  })
}

resource "aws_sqs_queue_redrive_allow_policy" "uploads" {
  queue_url = aws_sqs_queue.uploads_dead.id

  redrive_allow_policy = jsonencode({
    redrivePermission = "byQueue"
    sourceQueueArns   = [aws_sqs_queue.uploads.arn]
  })
}

# Only S3, only for this bucket, only in this account.
data "aws_iam_policy_document" "uploads_queue" {
  statement {
    sid       = "BucketSends"
    actions   = ["sqs:SendMessage"]
    resources = [aws_sqs_queue.uploads.arn]

    principals {
      type        = "Service"
      identifiers = ["s3.amazonaws.com"]
    }

    condition {
      test     = "ArnEquals"
      variable = "aws:SourceArn"
      values   = [aws_s3_bucket.uploads.arn]
    }

    condition {
      test     = "StringEquals"
      variable = "aws:SourceAccount"
      values   = [data.aws_caller_identity.here.account_id]
    }
  }
}

data "aws_caller_identity" "here" {}

resource "aws_sqs_queue_policy" "uploads" {
  queue_url = aws_sqs_queue.uploads.id
  policy    = data.aws_iam_policy_document.uploads_queue.json
}

resource "aws_sqs_queue" "jobs_dead" {
  for_each = local.job_queues

  name                      = "${var.name}-jobs-${each.key}-dead"
  message_retention_seconds = local.dead_days * local.days
  sqs_managed_sse_enabled   = true
}

resource "aws_sqs_queue" "jobs" {
  for_each = local.job_queues

  name                       = "${var.name}-jobs-${each.key}"
  message_retention_seconds  = local.source_days * local.days
  visibility_timeout_seconds = local.visible_soon
  receive_wait_time_seconds  = 20
  sqs_managed_sse_enabled    = true

  redrive_policy = jsonencode({
    deadLetterTargetArn = aws_sqs_queue.jobs_dead[each.key].arn
    maxReceiveCount     = var.max_receives
  })
}

resource "aws_sqs_queue_redrive_allow_policy" "jobs" {
  for_each  = local.job_queues
  queue_url = aws_sqs_queue.jobs_dead[each.key].id

  redrive_allow_policy = jsonencode({
    redrivePermission = "byQueue"
    sourceQueueArns   = [aws_sqs_queue.jobs[each.key].arn]
  })
}
