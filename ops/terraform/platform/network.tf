# Public subnets for the balancer and the way out, private ones for everything else, over two zones or more.

locals {
  zones   = { for at, zone in var.is.availability_zones : zone => at }
  ways    = var.is.nat_per_zone ? local.zones : { for zone, at in local.zones : zone => at if at == 0 }
  way_of  = { for zone, at in local.zones : zone => var.is.nat_per_zone ? zone : var.is.availability_zones[0] }
  public  = { for zone, at in local.zones : zone => cidrsubnet(var.is.cidr, 4, at) }
  private = { for zone, at in local.zones : zone => cidrsubnet(var.is.cidr, 4, at + 8) }
}

resource "aws_vpc" "here" {
  cidr_block           = var.is.cidr
  enable_dns_support   = true
  enable_dns_hostnames = true

  tags = { Name = var.name }
}

# Whoever is given no group has none that lets anything through.
resource "aws_default_security_group" "here" {
  vpc_id = aws_vpc.here.id
}

resource "aws_subnet" "public" {
  for_each = local.public

  vpc_id            = aws_vpc.here.id
  availability_zone = each.key
  cidr_block        = each.value

  tags = { Name = "${var.name}-public-${each.key}" }
}

resource "aws_subnet" "private" {
  for_each = local.private

  vpc_id            = aws_vpc.here.id
  availability_zone = each.key
  cidr_block        = each.value

  tags = { Name = "${var.name}-private-${each.key}" }
}

resource "aws_internet_gateway" "here" {
  vpc_id = aws_vpc.here.id

  tags = { Name = var.name }
}

resource "aws_eip" "nat" {
  for_each = local.ways

  domain = "vpc"

  tags = { Name = "${var.name}-nat-${each.key}" }
}

resource "aws_nat_gateway" "zone" {
  for_each = local.ways
  # An address is given out once there is a way to it.
  depends_on = [aws_internet_gateway.here]

  allocation_id = aws_eip.nat[each.key].id
  subnet_id     = aws_subnet.public[each.key].id

  tags = { Name = "${var.name}-${each.key}" }
}

resource "aws_route_table" "public" {
  vpc_id = aws_vpc.here.id

  tags = { Name = "${var.name}-public" }
}

resource "aws_route" "public" {
  route_table_id         = aws_route_table.public.id
  destination_cidr_block = "0.0.0.0/0"
  gateway_id             = aws_internet_gateway.here.id
}

resource "aws_route_table_association" "public" {
  for_each = aws_subnet.public

  subnet_id      = each.value.id
  route_table_id = aws_route_table.public.id
}

resource "aws_route_table" "private" {
  for_each = local.zones

  vpc_id = aws_vpc.here.id

  tags = { Name = "${var.name}-private-${each.key}" }
}

resource "aws_route" "private" {
  for_each = local.zones

  route_table_id         = aws_route_table.private[each.key].id
  destination_cidr_block = "0.0.0.0/0"
  nat_gateway_id         = aws_nat_gateway.zone[local.way_of[each.key]].id
}

resource "aws_route_table_association" "private" {
  for_each = aws_subnet.private

  subnet_id      = each.value.id
  route_table_id = aws_route_table.private[each.key].id
}

# Images do not go through NAT.
resource "aws_vpc_endpoint" "s3" {
  vpc_id            = aws_vpc.here.id
  service_name      = "com.amazonaws.${var.region}.s3"
  vpc_endpoint_type = "Gateway"
  route_table_ids   = [for table in aws_route_table.private : table.id]

  tags = { Name = "${var.name}-s3" }
}
