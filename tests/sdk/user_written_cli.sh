#!/usr/bin/env bash
# What a user of the aws CLI writes, with AWS in mind.
# Arguments: a model version's URI and digest, and a file of rows as CSV. Prints the predictions as JSON.
set -euo pipefail
version=$1 digest=$2 rows=$3
name=by-hand-cli
region=$(aws configure get region)
account=$(aws sts get-caller-identity --query Account --output text)
role=$(aws iam get-role --role-name SageMakerExecutionRole --query Role.Arn --output text)
image=$account.dkr.ecr.$region.amazonaws.com/quick:latest
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

aws sagemaker create-training-job --training-job-name "$name" \
    --algorithm-specification "TrainingImage=$image,TrainingInputMode=File" \
    --role-arn "$role" \
    --hyper-parameters "model_version=$version,model_manifest_sha256=$digest" \
    --output-data-config "S3OutputPath=s3://sagemaker-$region-$account/by-hand" \
    --resource-config InstanceType=ml.m5.large,InstanceCount=1,VolumeSizeInGB=30 \
    --stopping-condition MaxRuntimeInSeconds=1800 >&2
status=InProgress
while [ "$status" = InProgress ]; do
    sleep 1
    status=$(aws sagemaker describe-training-job --training-job-name "$name" \
        --query TrainingJobStatus --output text)
done
artefact=$(aws sagemaker describe-training-job --training-job-name "$name" \
    --query ModelArtifacts.S3ModelArtifacts --output text)
aws s3 cp --no-progress "$artefact" "$scratch/model.tar.gz" >&2
tar -tzf "$scratch/model.tar.gz" >&2

aws sagemaker create-model --model-name "$name" --execution-role-arn "$role" \
    --primary-container "Image=$image,ModelDataUrl=$artefact" >&2
aws sagemaker create-endpoint-config --endpoint-config-name "$name" --production-variants \
    "VariantName=AllTraffic,ModelName=$name,InstanceType=ml.m5.large,InitialInstanceCount=1" >&2
aws sagemaker create-endpoint --endpoint-name "$name" --endpoint-config-name "$name" >&2
status=Creating
while [ "$status" = Creating ]; do
    sleep 1
    status=$(aws sagemaker describe-endpoint --endpoint-name "$name" --query EndpointStatus --output text)
done
aws sagemaker-runtime invoke-endpoint --endpoint-name "$name" --content-type text/csv \
    --accept application/json --body "fileb://$rows" "$scratch/predictions.json" >&2

aws sagemaker delete-endpoint --endpoint-name "$name"
aws sagemaker wait endpoint-deleted --endpoint-name "$name"
aws sagemaker delete-endpoint-config --endpoint-config-name "$name"
aws sagemaker delete-model --model-name "$name"
cat "$scratch/predictions.json"
