#!/usr/bin/env bash
# LocalStack runs this in its container as soon as it is ready: the stack, as `takeaway deploy` makes it, and its sender.
set -euo pipefail
export AWS_DEFAULT_REGION=us-east-1
awslocal cloudformation deploy \
  --stack-name takeaway \
  --template-file /etc/takeaway/resources.yaml \
  --parameter-overrides WithAuditQueue=yes \
  --no-fail-on-empty-changeset
awslocal ses verify-email-identity --email-address orders@takeaway.example
