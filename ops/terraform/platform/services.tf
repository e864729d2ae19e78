# How many of each run, and where. Each start brings the database to its release's schema, under a lock, so there is no task for
# that alone.

resource "aws_ecs_service" "node" {
  for_each = toset(["ingest", "api"])
  # It is refused while its target group has no listener, and cannot start before its secrets are there.
  depends_on = [
    aws_lb_listener.tls, aws_ecs_cluster_capacity_providers.here, aws_iam_role_policy.secrets,
    aws_secretsmanager_secret_version.store, aws_secretsmanager_secret_version.signal,
  ]

  name            = each.key
  cluster         = aws_ecs_cluster.here.id
  task_definition = aws_ecs_task_definition.role[each.key].arn
  desired_count   = var.is.nodes
  launch_type     = "FARGATE"
  propagate_tags  = "SERVICE"
  # Two of each are in two zones, also after one was away.
  availability_zone_rebalancing = "ENABLED"

  network_configuration {
    subnets         = [for subnet in aws_subnet.private : subnet.id]
    security_groups = [aws_security_group.role[each.key].id]
  }

  dynamic "load_balancer" {
    for_each = each.key == "api" ? [aws_lb_target_group.api.arn] : []

    content {
      target_group_arn = load_balancer.value
      container_name   = "api"
      container_port   = 8080
    }
  }

  # One that cannot start leaves the release before in place.
  deployment_circuit_breaker {
    enable   = true
    rollback = true
  }
}

# Which worker goes when there are to be fewer is ECS's choice: it knows nothing of the work in their hands. SIGTERM comes first,
# and stopTimeout is longer than the drain; what is not finished then, others do once its leases have lapsed.
resource "aws_ecs_service" "worker" {
  depends_on = [
    aws_ecs_cluster_capacity_providers.here, aws_iam_role_policy.secrets,
    aws_secretsmanager_secret_version.store, aws_secretsmanager_secret_version.signal,
  ]

  name            = "worker"
  cluster         = aws_ecs_cluster.here.id
  task_definition = aws_ecs_task_definition.role["worker"].arn
  desired_count   = var.is.worker.least
  propagate_tags  = "SERVICE"
  # It would end busy workers to have them elsewhere.
  availability_zone_rebalancing = "DISABLED"

  dynamic "capacity_provider_strategy" {
    for_each = local.on_gpu ? [aws_ecs_capacity_provider.gpu[0].name] : []

    content {
      capacity_provider = capacity_provider_strategy.value
      weight            = 1
    }
  }

  dynamic "capacity_provider_strategy" {
    for_each = local.on_gpu ? [] : ["FARGATE"]

    content {
      capacity_provider = capacity_provider_strategy.value
      base              = var.is.worker.least
      weight            = var.is.worker.spot ? 0 : 1
    }
  }

  dynamic "capacity_provider_strategy" {
    for_each = !local.on_gpu && var.is.worker.spot ? ["FARGATE_SPOT"] : []

    content {
      capacity_provider = capacity_provider_strategy.value
      weight            = 1
    }
  }

  network_configuration {
    subnets         = [for subnet in aws_subnet.private : subnet.id]
    security_groups = [aws_security_group.role["worker"].id]
  }

  deployment_circuit_breaker {
    enable   = true
    rollback = true
  }

  lifecycle {
    ignore_changes = [desired_count] # the scaler's
  }
}
