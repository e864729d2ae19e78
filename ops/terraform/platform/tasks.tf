# What runs in each task. The file system of a task is not read-only: a volume would belong to root on Fargate, and the process
# is nobody's root. ECS takes no notice of an image's own health check, so it stands here again: alive, not ready, since a task
# that waits for the database gains nothing by a new start.

locals {
  drain_seconds = 60
  stop_seconds  = 90 # Fargate allows 120 at most, and a spot notice comes as long before the end

  shared = merge(var.settings, {
    AWS_REGION            = var.region
    LOBAR_LOG_FORMAT      = "json"
    LOBAR_METRICS_LISTEN  = "0.0.0.0:9464"
    LOBAR_DRAIN           = tostring(local.drain_seconds)
    LOBAR_SCALE_FLOOR     = tostring(var.is.worker.least)
    LOBAR_SCALE_CEILING   = tostring(var.is.worker.most)
    LOBAR_TRUSTED_PROXIES = join(",", values(var.is.public ? local.public : local.private))
  })

  own = {
    ingest = {}
    api    = { LOBAR_LISTEN = "0.0.0.0:8080", LOBAR_HOSTS = var.is.host }
    # An engine for each core of a task on Fargate (ADR 0046); a GPU that is not there refuses the start.
    worker = local.on_gpu ? { LOBAR_DEVICE = "cuda:0" } : { LOBAR_REPLICAS = tostring(floor(var.is.worker.cpu / 1024)), LOBAR_THREADS = "1" }
  }

  image = { ingest = var.is.node_image, api = var.is.node_image, worker = var.is.worker_image }
  size = {
    ingest = { cpu = 256, memory = 512 }
    api    = { cpu = 512, memory = 1024 }
    worker = { cpu = var.is.worker.cpu, memory = var.is.worker.memory }
  }
  ports = { ingest = [9464], api = [9464, 8080], worker = [9464] }
}

resource "aws_ecs_task_definition" "role" {
  for_each = local.roles

  family                   = "${var.name}-${each.key}"
  requires_compatibilities = [each.key == "worker" && local.on_gpu ? "EC2" : "FARGATE"]
  network_mode             = "awsvpc"
  cpu                      = local.size[each.key].cpu
  memory                   = local.size[each.key].memory
  task_role_arn            = aws_iam_role.task[each.key].arn
  execution_role_arn       = aws_iam_role.execution.arn

  runtime_platform {
    operating_system_family = "LINUX"
    cpu_architecture        = "X86_64"
  }

  container_definitions = jsonencode([merge({
    name         = each.key
    image        = local.image[each.key]
    command      = ["run", "--roles", each.key]
    essential    = true
    user         = "10001:10001"
    stopTimeout  = local.stop_seconds
    environment  = [for name, value in merge(local.shared, local.own[each.key]) : { name = name, value = value }]
    secrets      = [for name, arn in local.secrets : { name = name, valueFrom = arn }]
    portMappings = [for port in local.ports[each.key] : { containerPort = port, hostPort = port, protocol = "tcp" }]
    healthCheck = {
      command     = ["CMD", "/usr/local/bin/healthcheck.sh", "9464", "livez"]
      interval    = 10
      timeout     = 5
      retries     = 6
      startPeriod = 180
    }
    logConfiguration = {
      logDriver = "awslogs"
      options = {
        awslogs-group         = aws_cloudwatch_log_group.role[each.key].name
        awslogs-region        = var.region
        awslogs-stream-prefix = each.key
      }
    }
    },
    each.key == "worker" && local.on_gpu ? { resourceRequirements = [{ type = "GPU", value = "1" }] } : {},
  )])
}
