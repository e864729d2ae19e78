variable "bucket" {
  description = "Name of the bucket that hospitals upload to. Bucket names are shared by all of AWS."
  type        = string
}

variable "models_bucket" {
  description = "Name of the bucket of models' weights. Without one: that of uploads, with -models."
  type        = string
  default     = null
}

variable "name" {
  description = "What the names of queues and policies begin with."
  type        = string
  default     = "lobar"

  validation {
    condition     = can(regex("^[A-Za-z0-9_-]{1,40}$", var.name))
    error_message = "Letters, digits, - and _, at most 40: SQS allows no more once its suffixes are added."
  }
}

variable "prefix" {
  description = "Only objects whose keys begin with this are announced. Empty: all."
  type        = string
  default     = "incoming/"
}

variable "max_receives" {
  description = <<-EOT
    How often a message may be received before SQS moves it to its dead-letter queue. Lobar counts attempts on
    an image itself; SQS also counts what was given back untouched, in a stop or while a database is away, so
    this is a far limit and not the working one.
  EOT
  type        = number
  default     = 50

  validation {
    condition     = var.max_receives >= 5 && var.max_receives <= 1000
    error_message = "From 5 (below, an outage of minutes moves good uploads aside) to 1000 (SQS's own limit)."
  }
}

variable "noncurrent_days" {
  description = "Days after which a version that was replaced or deleted is removed for good."
  type        = number
  default     = 30
}

variable "kms_key_arn" {
  description = "A key of KMS to encrypt both buckets with, in place of S3's own. The roles may use it; its policy has to let them."
  type        = string
  default     = null
}

variable "cors_origins" {
  description = "Origins whose pages may upload by presigned URLs: https://lobar.example. Without any, no page may."
  type        = list(string)
  default     = []
}

variable "access_log_days" {
  description = "For how long it is kept who asked the buckets, and the balancer, for what. 0: nothing is written. Keys may name patients."
  type        = number
  default     = 90
}

variable "jobs_on_sqs" {
  description = "Also make the job queues, for those who set LOBAR_JOBS=sqs://… instead of RabbitMQ or Postgres."
  type        = bool
  default     = false
}

variable "role_names" {
  description = "IAM roles that processes run as, to attach the policies to: keys of ingest, worker, api, dicom, doctor."
  type        = map(string)
  default     = {}

  validation {
    condition     = length(setsubtract(keys(var.role_names), ["ingest", "worker", "api", "dicom", "doctor"])) == 0
    error_message = "The keys are ingest, worker, api, dicom and doctor."
  }
}

variable "force_destroy" {
  description = "Let `terraform destroy` delete a bucket that holds images. For trials only."
  type        = bool
  default     = false
}

variable "tags" {
  description = "Tags on everything."
  type        = map(string)
  default     = { application = "lobar" }
}
