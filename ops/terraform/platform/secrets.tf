# Whole URLs, since that is what Lobar reads. A new password: change it, raise password_version, apply, and start the services
# anew (`aws ecs update-service --force-new-deployment`), for a task reads its secrets when it starts.

locals {
  secrets = {
    LOBAR_STORE  = aws_secretsmanager_secret.url["store"].arn
    LOBAR_SIGNAL = aws_secretsmanager_secret.url["signal"].arn
  }
}

resource "aws_secretsmanager_secret" "url" {
  for_each = toset(["store", "signal"])

  name_prefix             = "${var.name}-${each.key}-"
  description             = "Where Lobar's ${each.key} is, with its password"
  kms_key_id              = aws_kms_key.here.arn
  recovery_window_in_days = 7
}

# sslmode=require encrypts and does not prove who answers: RDS's authority is not among those that Debian's images trust. With its
# bundle in the image, say verify-full and sslrootcert.
resource "aws_secretsmanager_secret_version" "store" {
  secret_id = aws_secretsmanager_secret.url["store"].id
  secret_string_wo = format("postgres://lobar:%s@%s:5432/lobar?sslmode=require",
  urlencode(var.database_password), aws_db_instance.store.address)
  secret_string_wo_version = var.is.password_version
}

resource "aws_secretsmanager_secret_version" "signal" {
  secret_id = aws_secretsmanager_secret.url["signal"].id
  secret_string_wo = format("rediss://:%s@%s:6379",
  urlencode(var.signal_token), aws_elasticache_replication_group.signal.primary_endpoint_address)
  secret_string_wo_version = var.is.password_version
}
