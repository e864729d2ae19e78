# What somebody has to look at, told to alarm_topics. Lobar's own alerts (ops/prometheus/rules.yml) know more; these need no
# Prometheus. Never fired: the tests plan them, no more.

resource "aws_cloudwatch_metric_alarm" "dead_letters" {
  for_each = var.dead_queues

  alarm_name          = "${var.name}-${each.key}-dead-letters"
  alarm_description   = "Messages were put aside: `lobar queue dead` tells why, docs/operating.md what to do."
  namespace           = "AWS/SQS"
  metric_name         = "ApproximateNumberOfMessagesVisible"
  dimensions          = { QueueName = each.value }
  statistic           = "Maximum"
  period              = 60
  evaluation_periods  = 1
  comparison_operator = "GreaterThanThreshold"
  threshold           = 0
  treat_missing_data  = "notBreaching"
  alarm_actions       = var.is.alarm_topics
  ok_actions          = var.is.alarm_topics
}

# The age hides messages that were received three times or more: the store knows those (lobar_oldest_unfinished_seconds).
resource "aws_cloudwatch_metric_alarm" "age" {
  for_each = var.source_queues

  alarm_name          = "${var.name}-${each.key}-age"
  alarm_description   = "The oldest message waits longer than a quarter of an hour: too few workers, or none that works."
  namespace           = "AWS/SQS"
  metric_name         = "ApproximateAgeOfOldestMessage"
  dimensions          = { QueueName = each.value }
  statistic           = "Maximum"
  period              = 60
  evaluation_periods  = 5
  comparison_operator = "GreaterThanThreshold"
  threshold           = 900
  treat_missing_data  = "notBreaching"
  alarm_actions       = var.is.alarm_topics
  ok_actions          = var.is.alarm_topics
}

resource "aws_cloudwatch_metric_alarm" "none_runs" {
  for_each = local.roles

  alarm_name          = "${var.name}-no-${each.key}"
  alarm_description   = "No ${each.key} runs. What it does waits and is not lost."
  namespace           = "ECS/ContainerInsights"
  metric_name         = "RunningTaskCount"
  dimensions          = { ClusterName = aws_ecs_cluster.here.name, ServiceName = each.key }
  statistic           = "Maximum"
  period              = 60
  evaluation_periods  = 5
  comparison_operator = "LessThanThreshold"
  threshold           = 1
  treat_missing_data  = "breaching"
  alarm_actions       = var.is.alarm_topics
  ok_actions          = var.is.alarm_topics
}

resource "aws_cloudwatch_metric_alarm" "store_storage" {
  alarm_name          = "${var.name}-store-storage"
  alarm_description   = "A tenth of the database's first size is left, and it has stopped growing by itself."
  namespace           = "AWS/RDS"
  metric_name         = "FreeStorageSpace"
  dimensions          = { DBInstanceIdentifier = aws_db_instance.store.identifier }
  statistic           = "Minimum"
  period              = 300
  evaluation_periods  = 3
  comparison_operator = "LessThanThreshold"
  threshold           = var.is.store.gib * 1024 * 1024 * 1024 / 10
  treat_missing_data  = "breaching"
  alarm_actions       = var.is.alarm_topics
  ok_actions          = var.is.alarm_topics
}

resource "aws_cloudwatch_metric_alarm" "balancer" {
  alarm_name          = "${var.name}-no-api-behind-the-balancer"
  alarm_description   = "The balancer has nobody to send requests to."
  namespace           = "AWS/ApplicationELB"
  metric_name         = "HealthyHostCount"
  dimensions          = { LoadBalancer = aws_lb.here.arn_suffix, TargetGroup = aws_lb_target_group.api.arn_suffix }
  statistic           = "Minimum"
  period              = 60
  evaluation_periods  = 5
  comparison_operator = "LessThanThreshold"
  threshold           = 1
  treat_missing_data  = "breaching"
  alarm_actions       = var.is.alarm_topics
  ok_actions          = var.is.alarm_topics
}
