locals {
  settings = merge(
    {
      LOBAR_BUCKET  = aws_s3_bucket.uploads.bucket
      LOBAR_MODELS  = "s3://${aws_s3_bucket.models.bucket}"
      LOBAR_UPLOADS = "sqs://${aws_sqs_queue.uploads.name}"
    },
    var.jobs_on_sqs ? { LOBAR_JOBS = "sqs://${var.name}-jobs" } : {},
  )
}

output "settings" {
  description = "Environment of the Lobar processes."
  value       = local.settings
}

output "uploads_queue_url" {
  description = "Where the bucket announces uploads."
  value       = aws_sqs_queue.uploads.id
}

output "uploads_dead_queue_url" {
  description = "Where notifications that nobody understood end. It should be empty."
  value       = aws_sqs_queue.uploads_dead.id
}

output "policy_arns" {
  description = "IAM policies by role, to attach to what the processes run as."
  value       = { for role, policy in aws_iam_policy.role : role => policy.arn }
}
