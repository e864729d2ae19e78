# What each role may do, and no more. ListBucket tells a missing object from a forbidden one, and is what a
# look at the bucket (HeadBucket) asks for.

locals {
  uploads      = [aws_sqs_queue.uploads.arn]
  uploads_dead = [aws_sqs_queue.uploads_dead.arn]
  jobs         = [for queue in aws_sqs_queue.jobs : queue.arn]
  jobs_dead    = [for queue in aws_sqs_queue.jobs_dead : queue.arn]

  look    = ["sqs:GetQueueAttributes", "sqs:GetQueueUrl"]
  consume = ["sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:ChangeMessageVisibility"]
  send    = ["sqs:SendMessage"]

  # Statements by role: what, and on which queues. Without job queues on SQS theirs are left out. Who consumes
  # also sends: what is given back uncounted is sent anew, and what nobody understands goes to the dead letters.
  queue_statements = {
    ingest = [
      { sid = "Look", actions = local.look, on = concat(local.uploads, local.uploads_dead, local.jobs, local.jobs_dead) },
      { sid = "Consume", actions = local.consume, on = local.uploads },
      { sid = "Send", actions = local.send, on = concat(local.uploads, local.uploads_dead, local.jobs) },
    ]
    worker = [
      { sid = "Look", actions = local.look, on = concat(local.jobs, local.jobs_dead) },
      { sid = "Consume", actions = local.consume, on = local.jobs },
      { sid = "Send", actions = local.send, on = concat(local.jobs, local.jobs_dead) },
    ]
    api = [
      { sid = "Look", actions = local.look, on = concat(local.uploads, local.uploads_dead, local.jobs, local.jobs_dead) },
    ]
    dicom = []
    # It asks for what the roles may, with requests that are refused for what they say.
    doctor = [
      { sid = "Look", actions = local.look, on = concat(local.uploads, local.uploads_dead, local.jobs, local.jobs_dead) },
      { sid = "Ask", actions = concat(local.consume, local.send), on = concat(local.uploads, local.uploads_dead, local.jobs, local.jobs_dead) },
    ]
  }

  object_actions = {
    # HEAD, for `priority: stat`; deleting only what is to be erased (docs/erasure.md).
    ingest = ["s3:GetObject", "s3:GetObjectVersion", "s3:DeleteObject", "s3:DeleteObjectVersion"]
    worker = ["s3:GetObject", "s3:GetObjectVersion"]
    api    = ["s3:GetObject", "s3:GetObjectVersion", "s3:PutObject", "s3:DeleteObject", "s3:DeleteObjectVersion"]
    dicom  = ["s3:GetObject", "s3:GetObjectVersion", "s3:PutObject"]
    doctor = ["s3:GetObject", "s3:GetObjectVersion", "s3:PutObject", "s3:AbortMultipartUpload"]
  }

  # The first worker of all stores the shipped weights; whoever registers others needs the same.
  model_actions = {
    ingest = []
    worker = ["s3:GetObject", "s3:PutObject"]
    api    = []
    dicom  = []
    doctor = ["s3:GetObject", "s3:PutObject"]
  }

  bucket_actions = {
    ingest = ["s3:ListBucket", "s3:ListBucketVersions"] # the second compares the bucket with the store
    worker = ["s3:ListBucket"]
    api    = ["s3:ListBucket", "s3:ListBucketVersions"]
    dicom  = ["s3:ListBucket", "s3:ListBucketVersions"] # the second for storage commitment
    doctor = ["s3:ListBucket", "s3:ListBucketVersions", "s3:GetBucketVersioning", "s3:GetBucketNotification"]
  }
}

data "aws_iam_policy_document" "role" {
  for_each = local.bucket_actions

  statement {
    sid       = "Bucket"
    actions   = each.value
    resources = [aws_s3_bucket.uploads.arn]
  }

  dynamic "statement" {
    for_each = length(local.object_actions[each.key]) > 0 ? [local.object_actions[each.key]] : []

    content {
      sid       = "Objects"
      actions   = statement.value
      resources = ["${aws_s3_bucket.uploads.arn}/*"]
    }
  }

  # What `lobar doctor --probe` put there, and nothing else.
  dynamic "statement" {
    for_each = each.key == "doctor" ? [["s3:DeleteObject", "s3:DeleteObjectVersion"]] : []

    content {
      sid       = "Probe"
      actions   = statement.value
      resources = ["${aws_s3_bucket.uploads.arn}/incoming/lobar-doctor/probe/*"]
    }
  }

  dynamic "statement" {
    for_each = length(local.model_actions[each.key]) > 0 ? [local.model_actions[each.key]] : []

    content {
      sid       = "Models"
      actions   = statement.value
      resources = ["${aws_s3_bucket.models.arn}/*"]
    }
  }

  dynamic "statement" {
    for_each = length(local.model_actions[each.key]) > 0 ? [["s3:ListBucket"]] : []

    content {
      sid       = "ModelsBucket"
      actions   = statement.value
      resources = [aws_s3_bucket.models.arn]
    }
  }

  # To read what is encrypted with it, and to write anew.
  dynamic "statement" {
    for_each = var.kms_key_arn == null ? [] : [var.kms_key_arn]

    content {
      sid       = "Key"
      actions   = ["kms:Decrypt", "kms:GenerateDataKey"]
      resources = [statement.value]
    }
  }

  dynamic "statement" {
    for_each = [for wanted in local.queue_statements[each.key] : wanted if length(wanted.on) > 0]

    content {
      sid       = statement.value.sid
      actions   = statement.value.actions
      resources = statement.value.on
    }
  }
}

resource "aws_iam_policy" "role" {
  for_each = data.aws_iam_policy_document.role

  name        = "${var.name}-${each.key}"
  description = "What a Lobar process with the role ${each.key} may do."
  policy      = each.value.json
}

resource "aws_iam_role_policy_attachment" "role" {
  for_each = var.role_names

  role       = each.value
  policy_arn = aws_iam_policy.role[each.key].arn
}
