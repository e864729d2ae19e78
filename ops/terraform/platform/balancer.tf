# TLS in front of page and API. It buffers no answers; a silent stream of events shows every ten seconds that it lives, which is
# less than the idle timeout. Lobar believes its subnets about who asks (LOBAR_TRUSTED_PROXIES). It hands on a client's own
# `Forwarded`; where that and X-Forwarded-For name different clients, Lobar answers 400 (docs/network.md).

resource "aws_lb" "here" {
  name               = var.name
  internal           = !var.is.public
  load_balancer_type = "application"
  security_groups    = [aws_security_group.balancer.id]
  # One that is not public has its addresses in the private subnets.
  subnets = [for subnet in var.is.public ? aws_subnet.public : aws_subnet.private : subnet.id]

  idle_timeout               = 60
  preserve_host_header       = true
  drop_invalid_header_fields = true
  enable_deletion_protection = var.is.protected

  dynamic "access_logs" {
    for_each = var.logs_bucket == null ? [] : [var.logs_bucket]

    content {
      bucket  = access_logs.value
      prefix  = "balancer"
      enabled = true
    }
  }
}

# What is alive gets requests, also while the store is away: then it answers with the reason.
resource "aws_lb_target_group" "api" {
  name                 = "${var.name}-api"
  vpc_id               = aws_vpc.here.id
  target_type          = "ip"
  protocol             = "HTTP"
  port                 = 8080
  deregistration_delay = 30

  health_check {
    path                = "/livez"
    interval            = 10
    timeout             = 5
    healthy_threshold   = 2
    unhealthy_threshold = 3
  }
}

resource "aws_lb_listener" "tls" {
  load_balancer_arn = aws_lb.here.arn
  port              = 443
  protocol          = "HTTPS"
  ssl_policy        = "ELBSecurityPolicy-TLS13-1-2-2021-06"
  certificate_arn   = var.is.certificate_arn

  default_action {
    type             = "forward"
    target_group_arn = aws_lb_target_group.api.arn
  }
}

resource "aws_lb_listener" "plain" {
  load_balancer_arn = aws_lb.here.arn
  port              = 80
  protocol          = "HTTP"

  default_action {
    type = "redirect"

    redirect {
      protocol    = "HTTPS"
      port        = "443"
      status_code = "HTTP_301"
    }
  }
}
