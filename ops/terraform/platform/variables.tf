variable "name" {
  description = "What names begin with."
  type        = string
}

variable "is" {
  description = "What the platform is to be: see `platform` of the module around this one."
  type        = any
}

variable "settings" {
  description = "LOBAR_* settings that name buckets and queues."
  type        = map(string)
}

variable "account" {
  description = "The account's number."
  type        = string
}

variable "region" {
  description = "Where it is."
  type        = string
}

variable "policy_arns" {
  description = "What each role may do, by role."
  type        = map(string)
}

variable "source_queues" {
  description = "Names of the queues that hold work."
  type        = map(string)
}

variable "dead_queues" {
  description = "Names of the queues of dead letters."
  type        = map(string)
}

variable "logs_bucket" {
  description = "Where the balancer writes whom it served; null for nowhere."
  type        = string
  default     = null
}

variable "database_password" {
  description = "Of the database's owner."
  type        = string
  sensitive   = true
  ephemeral   = true
}

variable "signal_token" {
  description = "What Redis asks for."
  type        = string
  sensitive   = true
}
