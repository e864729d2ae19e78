# Network, databases and processes, for those who have none of their own: the module that `platform` in ../platform.tf turns on.
# It asks nothing of AWS while it plans. Never applied to AWS. The emulator of the tests took all of it once, by hand, but for the
# scaling of services, which it does not have; it keeps too little of the rest for a second plan without changes.

terraform {
  required_version = ">= 1.11" # passwords that are written and not kept

  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = "~> 5.100"
    }
  }
}
