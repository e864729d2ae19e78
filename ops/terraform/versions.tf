terraform {
  required_version = ">= 1.6"

  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = "~> 5.100"
    }
  }
}

# Region and credentials come from the usual AWS_* variables or profile.
provider "aws" {
  default_tags {
    tags = var.tags
  }
}
