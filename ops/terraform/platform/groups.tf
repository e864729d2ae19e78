# Security groups: who may talk to whom, as docs/operating.md says of the roles. DNS within the network is not asked for.

locals {
  roles = toset(["ingest", "worker", "api"])

  # From whom, to whom, on which port.
  ways_between = merge(
    { balancer-api = { from = aws_security_group.balancer.id, to = aws_security_group.role["api"].id, port = 8080 } },
    { for role in local.roles : "${role}-store" => { from = aws_security_group.role[role].id, to = aws_security_group.store.id, port = 5432 } },
    { for role in local.roles : "${role}-signal" => { from = aws_security_group.role[role].id, to = aws_security_group.signal.id, port = 6379 } },
  )
}

resource "aws_security_group" "balancer" {
  name        = "${var.name}-balancer"
  description = "Who comes to page and API"
  vpc_id      = aws_vpc.here.id
}

resource "aws_security_group" "role" {
  for_each = local.roles

  name        = "${var.name}-${each.key}"
  description = "Processes of the role ${each.key}"
  vpc_id      = aws_vpc.here.id
}

resource "aws_security_group" "store" {
  name        = "${var.name}-store"
  description = "PostgreSQL"
  vpc_id      = aws_vpc.here.id
}

resource "aws_security_group" "signal" {
  name        = "${var.name}-signal"
  description = "Redis"
  vpc_id      = aws_vpc.here.id
}

resource "aws_security_group" "machines" {
  name        = "${var.name}-machines"
  description = "Machines with GPUs: their agent calls out, nobody calls in"
  vpc_id      = aws_vpc.here.id
}

resource "aws_vpc_security_group_egress_rule" "between" {
  for_each = local.ways_between

  security_group_id            = each.value.from
  referenced_security_group_id = each.value.to
  ip_protocol                  = "tcp"
  from_port                    = each.value.port
  to_port                      = each.value.port
}

resource "aws_vpc_security_group_ingress_rule" "between" {
  for_each = local.ways_between

  security_group_id            = each.value.to
  referenced_security_group_id = each.value.from
  ip_protocol                  = "tcp"
  from_port                    = each.value.port
  to_port                      = each.value.port
}

# S3, SQS, the registry of images, logs and secrets have public addresses.
resource "aws_vpc_security_group_egress_rule" "aws" {
  for_each = merge(
    { for role in local.roles : role => aws_security_group.role[role].id },
    { machines = aws_security_group.machines.id },
  )

  description       = "Services of AWS"
  security_group_id = each.value
  cidr_ipv4         = "0.0.0.0/0"
  ip_protocol       = "tcp"
  from_port         = 443
  to_port           = 443
}

# Port 80 answers with a redirect only.
resource "aws_vpc_security_group_ingress_rule" "clients" {
  for_each = { for pair in setproduct(var.is.client_networks, [80, 443]) : "${pair[0]}-${pair[1]}" => { network = pair[0], port = pair[1] } }

  description       = "Clients"
  security_group_id = aws_security_group.balancer.id
  cidr_ipv4         = each.value.network
  ip_protocol       = "tcp"
  from_port         = each.value.port
  to_port           = each.value.port
}

resource "aws_vpc_security_group_ingress_rule" "prometheus" {
  for_each = { for pair in setproduct(var.is.monitoring_networks, local.roles) : "${pair[0]}-${pair[1]}" => { network = pair[0], role = pair[1] } }

  description       = "Prometheus"
  security_group_id = aws_security_group.role[each.value.role].id
  cidr_ipv4         = each.value.network
  ip_protocol       = "tcp"
  from_port         = 9464
  to_port           = 9464
}
