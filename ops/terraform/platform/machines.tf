# Machines with one GPU each. ECS asks for as many as tasks want, takes none that a task is on (managed termination protection,
# for which the group protects all of them from scaling in), and lets tasks end before one goes (managed draining). Never run:
# the image's driver has to be one for CUDA 13 or newer, and the worker's image one with CUDA's libraries, which is yours to build.

resource "aws_launch_template" "gpu" {
  count = local.on_gpu ? 1 : 0

  name_prefix = "${var.name}-gpu-"
  # Found when a machine starts, so that a plan asks nothing.
  image_id               = "resolve:ssm:${var.is.worker.machine_image}"
  update_default_version = true
  vpc_security_group_ids = [aws_security_group.machines.id]

  iam_instance_profile {
    arn = aws_iam_instance_profile.machine[0].arn
  }

  # Tasks have roles of their own and nothing to ask the machine.
  metadata_options {
    http_tokens                 = "required"
    http_put_response_hop_limit = 1
  }

  block_device_mappings {
    device_name = "/dev/xvda"

    ebs {
      volume_size = 100
      volume_type = "gp3"
      encrypted   = true
    }
  }

  # On a spot notice, two minutes before the end, tasks get SIGTERM and longer than LOBAR_DRAIN.
  user_data = base64encode(<<-EOT
    #!/bin/bash
    cat >> /etc/ecs/ecs.config <<'END'
    ECS_CLUSTER=${var.name}
    ECS_ENABLE_GPU_SUPPORT=true
    ECS_ENABLE_SPOT_INSTANCE_DRAINING=true
    ECS_CONTAINER_STOP_TIMEOUT=${local.stop_seconds}s
    ECS_AWSVPC_BLOCK_IMDS=true
    END
  EOT
  )

  tag_specifications {
    resource_type = "instance"
    tags          = { Name = "${var.name}-gpu" }
  }
}

resource "aws_autoscaling_group" "gpu" {
  count = local.on_gpu ? 1 : 0

  name_prefix         = "${var.name}-gpu-"
  vpc_zone_identifier = [for subnet in aws_subnet.private : subnet.id]
  min_size            = 0
  # A deployment starts new workers before old ones end.
  max_size              = var.is.worker.most * 2
  protect_from_scale_in = true

  mixed_instances_policy {
    instances_distribution {
      on_demand_base_capacity                  = var.is.worker.least
      on_demand_percentage_above_base_capacity = var.is.worker.spot ? 0 : 100
      spot_allocation_strategy                 = "price-capacity-optimized"
    }

    launch_template {
      launch_template_specification {
        launch_template_id = aws_launch_template.gpu[0].id
        version            = aws_launch_template.gpu[0].latest_version
      }

      dynamic "override" {
        for_each = var.is.worker.machine_types

        content {
          instance_type = override.value
        }
      }
    }
  }

  # ECS puts it there, and a plan would take it away.
  tag {
    key                 = "AmazonECSManaged"
    value               = "true"
    propagate_at_launch = true
  }

  lifecycle {
    ignore_changes = [desired_capacity]
  }
}

resource "aws_ecs_capacity_provider" "gpu" {
  count = local.on_gpu ? 1 : 0

  name = "${var.name}-gpu"

  auto_scaling_group_provider {
    auto_scaling_group_arn         = aws_autoscaling_group.gpu[0].arn
    managed_termination_protection = "ENABLED"
    managed_draining               = "ENABLED"

    managed_scaling {
      status                    = "ENABLED"
      target_capacity           = 100
      minimum_scaling_step_size = 1
      maximum_scaling_step_size = 4
      instance_warmup_period    = 180
    }
  }
}
