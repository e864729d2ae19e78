terraform {
  required_version = ">= 1.11" # platform/ writes passwords without keeping them

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
