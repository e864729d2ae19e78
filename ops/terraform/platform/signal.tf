# Redis: it announces, caches and knows the workers. Nothing is kept in it, so there are no backups.

resource "aws_elasticache_subnet_group" "signal" {
  name       = "${var.name}-signal"
  subnet_ids = [for subnet in aws_subnet.private : subnet.id]
}

resource "aws_elasticache_parameter_group" "signal" {
  name   = "${var.name}-signal"
  family = "redis7"

  parameter {
    name  = "maxmemory-policy"
    value = "allkeys-lru"
  }
}

resource "aws_elasticache_replication_group" "signal" {
  replication_group_id = "${var.name}-signal"
  description          = "Lobar's signal"
  engine               = "redis"
  engine_version       = "7.1"
  node_type            = var.is.signal.class
  parameter_group_name = aws_elasticache_parameter_group.signal.name
  port                 = 6379

  num_cache_clusters         = var.is.signal.nodes
  automatic_failover_enabled = var.is.signal.nodes > 1
  multi_az_enabled           = var.is.signal.nodes > 1

  at_rest_encryption_enabled = true
  kms_key_id                 = aws_kms_key.here.arn
  transit_encryption_enabled = true
  # The provider has no way to write it without keeping it: it is in the state.
  auth_token                 = var.signal_token
  auth_token_update_strategy = "ROTATE"

  subnet_group_name  = aws_elasticache_subnet_group.signal.name
  security_group_ids = [aws_security_group.signal.id]
}
