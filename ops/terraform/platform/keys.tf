# One key for the database, the cache and the secrets. Who may use it is said by the roles' policies.

resource "aws_kms_key" "here" {
  description             = "${var.name}: database, cache, secrets"
  enable_key_rotation     = true
  deletion_window_in_days = 30
}

resource "aws_kms_alias" "here" {
  name          = "alias/${var.name}"
  target_key_id = aws_kms_key.here.key_id
}
