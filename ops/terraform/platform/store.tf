# PostgreSQL: images, results, events, people, the audit record.

resource "aws_db_subnet_group" "store" {
  name       = "${var.name}-store"
  subnet_ids = [for subnet in aws_subnet.private : subnet.id]
}

resource "aws_db_parameter_group" "store" {
  name_prefix = "${var.name}-store-"
  family      = "postgres${var.is.store.version}"

  # Nobody comes without TLS.
  parameter {
    name  = "rds.force_ssl"
    value = "1"
  }

  lifecycle {
    create_before_destroy = true
  }
}

resource "aws_db_instance" "store" {
  identifier     = "${var.name}-store"
  engine         = "postgres"
  engine_version = var.is.store.version
  instance_class = var.is.store.class

  allocated_storage     = var.is.store.gib
  max_allocated_storage = var.is.store.gib * 4
  storage_type          = "gp3"
  storage_encrypted     = true
  kms_key_id            = aws_kms_key.here.arn

  db_name             = "lobar"
  username            = "lobar"
  password_wo         = var.database_password
  password_wo_version = var.is.password_version

  db_subnet_group_name   = aws_db_subnet_group.store.name
  parameter_group_name   = aws_db_parameter_group.store.name
  vpc_security_group_ids = [aws_security_group.store.id]
  publicly_accessible    = false

  multi_az                  = var.is.store.multi_az
  backup_retention_period   = var.is.store.backup_days
  copy_tags_to_snapshot     = true
  delete_automated_backups  = false
  deletion_protection       = var.is.protected
  skip_final_snapshot       = !var.is.protected
  final_snapshot_identifier = var.is.protected ? "${var.name}-store-last" : null

  performance_insights_enabled    = true
  performance_insights_kms_key_id = aws_kms_key.here.arn
  auto_minor_version_upgrade      = true
}
