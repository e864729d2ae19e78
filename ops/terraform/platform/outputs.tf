output "balancer" {
  description = "What the name of `host` has to lead to."
  value       = { name = aws_lb.here.dns_name, zone = aws_lb.here.zone_id }
}

output "cluster" {
  description = "Where the services run."
  value       = aws_ecs_cluster.here.name
}
