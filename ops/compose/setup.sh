#!/bin/sh
# Makes in an emulator what ops/terraform makes on AWS: the bucket with versions, the uploads queue with its
# dead-letter queue, the notification from one to the other, and the bucket of models, which announces nothing. Calling it again changes nothing.
#   AWS_ENDPOINT_URL, AWS_*: where, and as whom    LOBAR_BUCKET: the bucket    UPLOADS_QUEUE: the queue
#   MODELS_BUCKET: the bucket of models' weights, lobar-models if it is not said
set -eu
bucket=${LOBAR_BUCKET:?}
models=${MODELS_BUCKET:-lobar-models}
queue=${UPLOADS_QUEUE:?}

# The AWS CLI does not heed AWS_ENDPOINT_URL for every service: for SQS it asks Amazon.
aws() { command aws --endpoint-url "${AWS_ENDPOINT_URL:?}" "$@"; }

arn() {
    aws sqs get-queue-attributes --queue-url "$1" --attribute-names QueueArn --query Attributes.QueueArn --output text
}

make_queue() {
    aws sqs create-queue --queue-name "$1" --attributes "$2" --query QueueUrl --output text
}

aws s3api head-bucket --bucket "$bucket" 2>/dev/null || aws s3api create-bucket --bucket "$bucket" >/dev/null
aws s3api head-bucket --bucket "$models" 2>/dev/null || aws s3api create-bucket --bucket "$models" >/dev/null
aws s3api put-bucket-versioning --bucket "$bucket" --versioning-configuration Status=Enabled

# Fourteen days aside, seven in the queue.
dead=$(arn "$(make_queue "$queue-dead" '{"MessageRetentionPeriod": "1209600"}')")
redrive=$(printf '{\\"deadLetterTargetArn\\": \\"%s\\", \\"maxReceiveCount\\": \\"50\\"}' "$dead")
uploads=$(arn "$(make_queue "$queue" "{\"MessageRetentionPeriod\": \"604800\",
    \"ReceiveMessageWaitTimeSeconds\": \"20\", \"RedrivePolicy\": \"$redrive\"}")")

aws s3api put-bucket-notification-configuration --bucket "$bucket" --notification-configuration "{
    \"QueueConfigurations\": [{
        \"Id\": \"lobar-uploads\", \"QueueArn\": \"$uploads\",
        \"Events\": [\"s3:ObjectCreated:*\", \"s3:ObjectRemoved:*\"],
        \"Filter\": {\"Key\": {\"FilterRules\": [{\"Name\": \"prefix\", \"Value\": \"incoming/\"}]}}
    }]
}"
echo "The bucket $bucket announces uploads on the queue $queue."
