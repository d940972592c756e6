#!/usr/bin/env bash
# LocalStack runs this in its container as soon as it is ready: the stack, as `takeaway deploy` makes it, and its sender.
set -euo pipefail
export AWS_DEFAULT_REGION=us-east-1

status() {
  awslocal cloudformation describe-stacks --stack-name takeaway --query 'Stacks[0].StackStatus' --output text
}

awslocal cloudformation create-stack \
  --stack-name takeaway \
  --template-body file:///etc/takeaway/resources.yaml \
  --parameters ParameterKey=WithAuditQueue,ParameterValue=yes
# The command's own wait looks every half minute.
for _ in {1..60}; do
  if [ "$(status)" != CREATE_IN_PROGRESS ]; then break; fi
  sleep 1
done
if [ "$(status)" != CREATE_COMPLETE ]; then
  echo "error: the stack takeaway is in $(status)" >&2
  exit 1
fi
awslocal ses verify-email-identity --email-address orders@takeaway.example
