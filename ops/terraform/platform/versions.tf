# Network, databases and processes, for those who have none of their own: the module that `platform` in ../platform.tf turns on.
# It asks nothing of AWS while it plans. Never applied to AWS; where more than that is to be said, it stands beside the resource.

terraform {
  required_version = ">= 1.11" # passwords that are written and not kept

  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = "~> 5.100"
    }
  }
}
