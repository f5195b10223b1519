"""What a user of the SageMaker SDK v2 writes, with AWS in mind.

Arguments: two model versions, each a URI and its digest, and a file of rows as CSV. Prints JSON.
"""

import json
import sys
from pathlib import Path

import boto3
import sagemaker
from sagemaker.deserializers import JSONDeserializer
from sagemaker.estimator import Estimator
from sagemaker.serializers import CSVSerializer

first, second = sys.argv[1:3], sys.argv[3:5]
rows = Path(sys.argv[5]).read_text()

session = sagemaker.Session()
role = boto3.client("iam").get_role(RoleName="SageMakerExecutionRole")["Role"]["Arn"]
account = boto3.client("sts").get_caller_identity()["Account"]
image = f"{account}.dkr.ecr.{session.boto_region_name}.amazonaws.com/quick:latest"


def fitted(version, digest):
    """Train a version into an artefact."""
    estimator = Estimator(
        image_uri=image,
        role=role,
        instance_count=1,
        instance_type="ml.m5.large",
        base_job_name="by-hand-v2",
        hyperparameters={"model_version": version, "model_manifest_sha256": digest},
        sagemaker_session=session,
    )
    estimator.fit(logs="All")
    return estimator


estimator = fitted(*first)
predictor = estimator.deploy(
    initial_instance_count=1,
    instance_type="ml.m5.large",
    endpoint_name="by-hand-v2",
    serializer=CSVSerializer(),
    deserializer=JSONDeserializer(),
)
before = predictor.predict(rows)
of_arrays = predictor.predict([[float(cell) for cell in row.split(",")] for row in rows.splitlines()])

model = fitted(*second).create_model(name="by-hand-v2-second")
model.create(instance_type="ml.m5.large")
first_models = predictor._get_model_names()
predictor.update_endpoint(
    initial_instance_count=1, instance_type="ml.m5.large", model_name=model.name, wait=False
)
boto3.client("sagemaker").get_waiter("endpoint_in_service").wait(
    EndpointName="by-hand-v2", WaiterConfig={"Delay": 1}
)
after = predictor.predict(rows)
predictor.delete_model()
predictor.delete_endpoint(delete_endpoint_config=True)
boto3.client("sagemaker").get_waiter("endpoint_deleted").wait(
    EndpointName="by-hand-v2", WaiterConfig={"Delay": 1}
)
session.delete_endpoint_config("by-hand-v2")  # the first one, which update_endpoint left
for name in first_models:
    session.delete_model(name)
print("\n" + json.dumps({"before": before, "of_arrays": of_arrays, "after": after}))
