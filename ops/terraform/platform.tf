# Network, databases and processes, where there are none: off unless `platform` is set. Everything but `platform/` is then as it is
# without.

variable "platform" {
  description = <<-EOT
    Also make a network, PostgreSQL, Redis, and an ECS cluster that runs ingest, api and workers, jobs on SQS. It asks for two
    availability zones or more, the certificate (ACM) of the name `host`, and images; the rest may stay as it is.
  EOT
  type = object({
    availability_zones = list(string)
    host               = string
    certificate_arn    = string
    node_image         = string
    worker_image       = string

    cidr                = optional(string, "10.0.0.0/16") # /16 to /20
    nat_per_zone        = optional(bool, true)            # one for all is cheaper, and takes all with it
    public              = optional(bool, false)           # whether the balancer has public addresses
    client_networks     = optional(list(string), ["10.0.0.0/8"])
    monitoring_networks = optional(list(string), []) # where Prometheus scrapes from
    alarm_topics        = optional(list(string), []) # of SNS
    protected           = optional(bool, true)       # from being destroyed; a last snapshot is kept
    password_version    = optional(number, 1)        # raise it to write new passwords
    log_days            = optional(number, 90)
    nodes               = optional(number, 2) # of ingest and of api, each

    store = optional(object({
      version     = optional(string, "15") # the one that was tried
      class       = optional(string, "db.m7g.large")
      gib         = optional(number, 100)
      multi_az    = optional(bool, true)
      backup_days = optional(number, 14)
    }), {})

    signal = optional(object({
      class = optional(string, "cache.t4g.small")
      nodes = optional(number, 2)
    }), {})

    worker = optional(object({
      gpu           = optional(bool, false) # on machines with GPUs; otherwise on Fargate
      spot          = optional(bool, false) # those beyond `least`
      least         = optional(number, 1)
      most          = optional(number, 8)
      backlog       = optional(number, 200)  # messages a worker: see platform/scaling.tf
      cpu           = optional(number, 4096) # units: 1024 a core
      memory        = optional(number, 8192) # MiB
      machine_types = optional(list(string), ["g6.xlarge", "g5.xlarge", "g4dn.xlarge"])
      # An SSM parameter that names the machines' image.
      machine_image = optional(string, "/aws/service/ecs/optimized-ami/amazon-linux-2023/gpu/recommended/image_id")
    }), {})
  })
  default = null

  validation {
    condition     = var.platform == null ? true : length(var.platform.availability_zones) >= 2 && length(var.platform.availability_zones) <= 8
    error_message = "A balancer and a database want subnets in two zones or more; there is room for eight."
  }

  validation {
    condition     = var.platform == null ? true : var.jobs_on_sqs
    error_message = "The platform has no RabbitMQ: set jobs_on_sqs too."
  }

  validation {
    condition     = var.platform == null ? true : var.database_password != null && var.signal_token != null
    error_message = "Give database_password and signal_token, in TF_VAR_… rather than on a command line."
  }

  validation {
    condition     = var.platform == null ? true : can(regex("^[a-z][a-z0-9-]{0,19}$", var.name))
    error_message = "With a platform, `name` is of small letters, digits and -, at most 20: a balancer's name is no longer."
  }

  validation {
    condition     = var.platform == null ? true : var.platform.worker.least >= 1 && var.platform.worker.most >= var.platform.worker.least
    error_message = "One worker stays, so that the first image of the night does not wait for a start."
  }
}

variable "database_password" {
  description = "With a platform: of the database's owner, 16 characters or more. It is written, and not kept in the state."
  type        = string
  sensitive   = true
  ephemeral   = true
  default     = null

  validation {
    condition     = var.database_password == null ? true : can(regex("^[!#-.0-?A-~]{16,128}$", var.database_password))
    error_message = "16 to 128 characters, none of them a blank, a quotation mark, / or @: RDS takes no others."
  }
}

variable "signal_token" {
  description = "With a platform: what Redis asks for, 16 to 128 letters and digits. It is in the state."
  type        = string
  sensitive   = true
  default     = null

  validation {
    condition     = var.signal_token == null ? true : can(regex("^[A-Za-z0-9]{16,128}$", var.signal_token))
    error_message = "16 to 128 letters and digits."
  }
}

# Known from the provider's own settings.
data "aws_region" "here" {}

module "platform" {
  source = "./platform"
  count  = var.platform == null ? 0 : 1

  name          = var.name
  is            = var.platform
  account       = data.aws_caller_identity.here.account_id
  region        = data.aws_region.here.name
  policy_arns   = { for role, policy in aws_iam_policy.role : role => policy.arn }
  source_queues = merge({ uploads = aws_sqs_queue.uploads.name }, { for lane, queue in aws_sqs_queue.jobs : "jobs_${lane}" => queue.name })
  dead_queues   = merge({ uploads = aws_sqs_queue.uploads_dead.name }, { for lane, queue in aws_sqs_queue.jobs_dead : "jobs_${lane}" => queue.name })
  logs_bucket   = one(aws_s3_bucket.logs[*].bucket)

  settings = local.settings

  database_password = var.database_password
  signal_token      = var.signal_token
}

output "platform" {
  description = "With a platform: where `host` has to lead, and the cluster's name."
  value       = one([for platform in module.platform : { balancer = platform.balancer, cluster = platform.cluster }])
}
