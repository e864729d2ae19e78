# Where tasks run: ingest, api and workers on CPUs on Fargate, workers on GPUs on machines of ours.

locals {
  on_gpu = var.is.worker.gpu
}

resource "aws_ecs_cluster" "here" {
  name = var.name

  # How many tasks run, by which workers are scaled.
  setting {
    name  = "containerInsights"
    value = "enabled"
  }
}

resource "aws_cloudwatch_log_group" "role" {
  for_each = local.roles

  name              = "/lobar/${var.name}/${each.key}"
  retention_in_days = var.is.log_days
}

resource "aws_ecs_cluster_capacity_providers" "here" {
  cluster_name       = aws_ecs_cluster.here.name
  capacity_providers = concat(["FARGATE", "FARGATE_SPOT"], aws_ecs_capacity_provider.gpu[*].name)
}
