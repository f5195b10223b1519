"""What a user of the SageMaker SDK v3 writes, ModelTrainer and core resources, with AWS in mind.

Arguments: image, role, model version, digest, bucket. Standard input: rows as CSV. Prints JSON.
"""

import json
import sys

from sagemaker.core.resources import Endpoint, EndpointConfig, Model, TrainingJob
from sagemaker.core.shapes import ContainerDefinition, ProductionVariant
from sagemaker.core.training.configs import Compute, OutputDataConfig, StoppingCondition
from sagemaker.train import ModelTrainer

image, role, version, digest, bucket = sys.argv[1:]

trainer = ModelTrainer(
    training_image=image,
    role=role,
    base_job_name="written-by-a-user",
    compute=Compute(instance_type="ml.m5.large", instance_count=1, volume_size_in_gb=30),
    stopping_condition=StoppingCondition(max_runtime_in_seconds=1800),
    output_data_config=OutputDataConfig(s3_output_path=f"s3://{bucket}/by-hand"),
    hyperparameters={"model_version": version, "model_manifest_sha256": digest},
)
trainer.train(wait=True, logs=False)
job = next(iter(TrainingJob.get_all(name_contains="written-by-a-user")))
job.refresh()

model = Model.create(
    model_name="by-hand",
    primary_container=ContainerDefinition(image=image, model_data_url=job.model_artifacts.s3_model_artifacts),
    execution_role_arn=role,
)
for count in (1, 2):
    EndpointConfig.create(
        endpoint_config_name=f"by-hand-{count}",
        production_variants=[
            ProductionVariant(
                variant_name="AllTraffic",
                model_name="by-hand",
                instance_type="ml.m5.large",
                initial_instance_count=count,
            )
        ],
    )
endpoint = Endpoint.create(endpoint_name="by-hand", endpoint_config_name="by-hand-1")
endpoint.wait_for_status("InService", poll=1)
answer = endpoint.invoke(body=sys.stdin.buffer.read(), content_type="text/csv", accept="application/json")
predictions = json.loads(answer.body.read())
endpoint.endpoint_config_name = "by-hand-2"
endpoint.update()
endpoint.wait_for_status("InService", poll=1)
endpoint.refresh()
got = {
    "job": job.training_job_status,
    "predictions": predictions,
    "config": endpoint.endpoint_config_name,
    "endpoints": [found.endpoint_name for found in Endpoint.get_all(name_contains="by-hand")],
}
endpoint.delete()
endpoint.wait_for_delete(poll=1)
model.delete()
print("\n" + json.dumps(got))
