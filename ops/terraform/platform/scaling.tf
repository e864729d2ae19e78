# Workers by backlog a worker: (ready + in flight, of jobs and of uploads) ÷ running workers, held near a target.
#
# - AWS's own recipe counts ready messages alone, and so takes workers away while the last batches are in their hands. Here
#   messages in flight count until they are deleted, which is once the store has the result.
# - A number of messages says nothing about time: images a worker finishes in a second (`lobar bench pipeline`) × seconds that an
#   image may wait is the target. Lobar's own figure, lobar_workers_wanted, is in Prometheus and not in CloudWatch, so nothing
#   here follows it.
# - SQS's figures are approximate, a minute apart, and are not sent at all for a queue that nobody used for six hours: without
#   them nothing is scaled. Scaling in waits for fifteen minutes of less, scaling out for three.
# - No worker runs: the backlog is divided by one, so that it still asks for some.
# Never run: the tests plan it, no more.

locals {
  measured = merge([for what, queue in var.source_queues : {
    "${what}_ready"  = { queue = queue, metric = "ApproximateNumberOfMessagesVisible" }
    "${what}_flight" = { queue = queue, metric = "ApproximateNumberOfMessagesNotVisible" }
  }]...)

  backlog = join(" + ", [for id in keys(local.measured) : "FILL(${id}, 0)"])
}

resource "aws_appautoscaling_target" "worker" {
  service_namespace  = "ecs"
  resource_id        = "service/${aws_ecs_cluster.here.name}/${aws_ecs_service.worker.name}"
  scalable_dimension = "ecs:service:DesiredCount"
  min_capacity       = var.is.worker.least
  max_capacity       = var.is.worker.most
}

resource "aws_appautoscaling_policy" "worker" {
  name               = "${var.name}-backlog"
  policy_type        = "TargetTrackingScaling"
  service_namespace  = aws_appautoscaling_target.worker.service_namespace
  resource_id        = aws_appautoscaling_target.worker.resource_id
  scalable_dimension = aws_appautoscaling_target.worker.scalable_dimension

  target_tracking_scaling_policy_configuration {
    target_value       = var.is.worker.backlog
    scale_out_cooldown = 60
    scale_in_cooldown  = 300

    customized_metric_specification {
      dynamic "metrics" {
        for_each = local.measured

        content {
          id          = metrics.key
          return_data = false

          metric_stat {
            stat = "Maximum"

            metric {
              namespace   = "AWS/SQS"
              metric_name = metrics.value.metric

              dimensions {
                name  = "QueueName"
                value = metrics.value.queue
              }
            }
          }
        }
      }

      metrics {
        id          = "running"
        return_data = false

        metric_stat {
          stat = "Average"

          metric {
            namespace   = "ECS/ContainerInsights"
            metric_name = "RunningTaskCount"

            dimensions {
              name  = "ClusterName"
              value = aws_ecs_cluster.here.name
            }

            dimensions {
              name  = "ServiceName"
              value = aws_ecs_service.worker.name
            }
          }
        }
      }

      metrics {
        id          = "backlog"
        label       = "Backlog a worker"
        expression  = "(${local.backlog}) / IF(FILL(running, 0) > 1, FILL(running, 0), 1)"
        return_data = true
      }
    }
  }
}
