"""What a user of boto3 writes, with AWS in mind.

Arguments: a model version's URI and digest, and a file of rows as CSV. Prints JSON.
"""

import json
import sys
from pathlib import Path

import boto3

version, digest, rows = sys.argv[1:]
name = "by-hand-boto3"
sagemaker = boto3.client("sagemaker")
account = boto3.client("sts").get_caller_identity()["Account"]
image = f"{account}.dkr.ecr.{sagemaker.meta.region_name}.amazonaws.com/quick:latest"
role = boto3.client("iam").get_role(RoleName="SageMakerExecutionRole")["Role"]["Arn"]

sagemaker.create_training_job(
    TrainingJobName=name,
    AlgorithmSpecification={"TrainingImage": image, "TrainingInputMode": "File"},
    RoleArn=role,
    HyperParameters={"model_version": version, "model_manifest_sha256": digest},
    OutputDataConfig={"S3OutputPath": f"s3://sagemaker-{sagemaker.meta.region_name}-{account}/by-hand"},
    ResourceConfig={"InstanceType": "ml.m5.large", "InstanceCount": 1, "VolumeSizeInGB": 30},
    StoppingCondition={"MaxRuntimeInSeconds": 1800},
)
sagemaker.get_waiter("training_job_completed_or_stopped").wait(
    TrainingJobName=name, WaiterConfig={"Delay": 1}
)
job = sagemaker.describe_training_job(TrainingJobName=name)

sagemaker.create_model(
    ModelName=name,
    ExecutionRoleArn=role,
    PrimaryContainer={"Image": image, "ModelDataUrl": job["ModelArtifacts"]["S3ModelArtifacts"]},
)
sagemaker.create_endpoint_config(
    EndpointConfigName=name,
    ProductionVariants=[
        {
            "VariantName": "AllTraffic",
            "ModelName": name,
            "InstanceType": "ml.m5.large",
            "InitialInstanceCount": 1,
        }
    ],
)
sagemaker.create_endpoint(EndpointName=name, EndpointConfigName=name)
sagemaker.get_waiter("endpoint_in_service").wait(EndpointName=name, WaiterConfig={"Delay": 1})
answer = boto3.client("sagemaker-runtime").invoke_endpoint(
    EndpointName=name, ContentType="text/csv", Accept="application/json", Body=Path(rows).read_bytes()
)
predictions = json.loads(answer["Body"].read())

sagemaker.delete_endpoint(EndpointName=name)
sagemaker.get_waiter("endpoint_deleted").wait(EndpointName=name, WaiterConfig={"Delay": 1})
sagemaker.delete_endpoint_config(EndpointConfigName=name)
sagemaker.delete_model(ModelName=name)
print(json.dumps({"job": job["TrainingJobStatus"], "predictions": predictions}))
