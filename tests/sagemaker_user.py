"""What a boto3 user asks of SageMaker, in as few words as the tests need, and a program to ask it for."""

import io
import json
import tarfile
import textwrap
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import boto3

from byoc.local.instance import Instance
from processes import eventually

# Trains a number and serves it; tells who its AWS is. Given a MARK, `train` never ends, and makes a file of
# that name beside it once a child of its own runs. Given a GATE, `serve` waits until there is such a file.
TRAIN = """
    #!/usr/bin/env python3
    import json, os, subprocess
    from pathlib import Path

    root = Path(os.environ.get("SAGEMAKER_BASE_DIR", "/opt/ml"))
    given = json.loads((root / "input/config/hyperparameters.json").read_text())
    print("loss=0.25;")
    (root / "model" / "number").write_text(given["number"])
    if "MARK" in os.environ:
        child = subprocess.Popen(["sleep", "600"])
        Path(__file__).with_name(os.environ["MARK"]).touch()
        child.wait()
"""
SERVE = """
    #!/usr/bin/env python3
    import http.server, json, os, time
    from pathlib import Path

    number = (Path(os.environ.get("SAGEMAKER_BASE_DIR", "/opt/ml")) / "model" / "number").read_text()

    class Answers(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            self.answer({})

        def do_POST(self):
            asked = self.rfile.read(int(self.headers["Content-Length"])).decode()
            if asked == "for ever":
                Path(os.environ["TMPDIR"], "asked").touch()
                time.sleep(600)
            self.answer({"number": number, "asked": asked, "aws": os.environ["AWS_ENDPOINT_URL"]})

        def answer(self, document):
            body = json.dumps(document).encode()
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

    while "GATE" in os.environ and not Path(__file__).with_name(os.environ["GATE"]).exists():
        time.sleep(0.02)
    port = int(os.environ.get("SAGEMAKER_BIND_TO_PORT", "8080"))
    http.server.ThreadingHTTPServer(("", port), Answers).serve_forever()
"""
DOCKERFILE = "LABEL com.amazonaws.sagemaker.capabilities.accept-bind-to-port=true\n"
WITHIN_S = 30


def number_program(folder: Path) -> Path:
    """Write the program into a folder that is made for it."""
    folder.mkdir()
    (folder / "Dockerfile").write_text(DOCKERFILE)
    for name, text in (("train", TRAIN), ("serve", SERVE)):
        (folder / name).write_text(textwrap.dedent(text).lstrip())
        (folder / name).chmod(0o755)
    return folder


@dataclass(frozen=True)
class User:
    """Somebody with boto3 and the keys of a local SageMaker; one session may serve its next life too.

    Attributes:
        image: what is trained and served.
    """

    instance: Instance
    image: str
    session: boto3.session.Session
    _clients: dict[tuple[str, str], Any] = field(default_factory=dict)

    @classmethod
    def of(cls, instance: Instance, image: str) -> "User":
        """Return one of that instance's, who trains and serves that image."""
        session = boto3.session.Session(
            aws_access_key_id=instance.access_key,
            aws_secret_access_key=instance.secret_key,
            region_name=instance.region,
        )
        return cls(instance, image, session)

    def client(self, service: str, **how: Any) -> Any:
        """Return a client; one without a configuration of its own is made once."""
        url = self.instance.url
        if how:
            return self.session.client(service, endpoint_url=url, **how)
        if (service, url) not in self._clients:
            self._clients[service, url] = self.session.client(service, endpoint_url=url)
        return self._clients[service, url]

    def start_training(self, name: str, environment: dict[str, str] | None = None, **given: str) -> None:
        self.client("sagemaker").create_training_job(
            TrainingJobName=name,
            AlgorithmSpecification={"TrainingImage": self.image, "TrainingInputMode": "File"},
            RoleArn=self.instance.role_arn,
            OutputDataConfig={"S3OutputPath": f"s3://{self.instance.bucket}/models"},
            ResourceConfig={"InstanceType": "ml.m5.large", "InstanceCount": 1, "VolumeSizeInGB": 1},
            StoppingCondition={"MaxRuntimeInSeconds": 600},
            HyperParameters=given,
            Environment=environment or {},
        )

    def train(self, name: str, **given: str) -> str:
        """Run a job to its end and return where its model is."""
        self.start_training(name, **given)
        self.wait(lambda: self.job(name)["TrainingJobStatus"] != "InProgress")
        job = self.job(name)
        assert job["TrainingJobStatus"] == "Completed", job.get("FailureReason")
        return job["ModelArtifacts"]["S3ModelArtifacts"]

    def job(self, name: str) -> dict[str, Any]:
        return self.client("sagemaker").describe_training_job(TrainingJobName=name)

    def upload(self, name: str, **files: str) -> str:
        """Keep a model that nobody trained; return where it is."""
        packed = io.BytesIO()
        with tarfile.open(fileobj=packed, mode="w:gz") as archive:
            for file, text in files.items():
                member = tarfile.TarInfo(file)
                member.size = len(text)
                archive.addfile(member, io.BytesIO(text.encode()))
        key = f"models/{name}/model.tar.gz"
        self.client("s3").put_object(Bucket=self.instance.bucket, Key=key, Body=packed.getvalue())
        return f"s3://{self.instance.bucket}/{key}"

    def configure(self, name: str, model: str, environment: dict[str, str] | None = None) -> None:
        """Make a model, and an endpoint config with it, of one name."""
        sagemaker = self.client("sagemaker")
        container = {"Image": self.image, "ModelDataUrl": model, "Environment": environment or {}}
        sagemaker.create_model(
            ModelName=name, ExecutionRoleArn=self.instance.role_arn, PrimaryContainer=container
        )
        variant = {"VariantName": "AllTraffic", "ModelName": name, "InstanceType": "ml.m5.large"}
        sagemaker.create_endpoint_config(
            EndpointConfigName=name, ProductionVariants=[variant | {"InitialInstanceCount": 1}]
        )

    def serve(self, name: str, model: str) -> None:
        """Put a model into service, under one name for all of it."""
        self.configure(name, model)
        self.client("sagemaker").create_endpoint(EndpointName=name, EndpointConfigName=name)
        self.wait(lambda: self.endpoint(name)["EndpointStatus"] != "Creating")
        self.wait_until_in_service(name)

    def wait_until_in_service(self, name: str) -> None:
        self.wait(lambda: self.endpoint(name)["EndpointStatus"] in ("InService", "Failed"))
        endpoint = self.endpoint(name)
        assert endpoint["EndpointStatus"] == "InService", endpoint.get("FailureReason")

    def endpoint(self, name: str) -> dict[str, Any]:
        return self.client("sagemaker").describe_endpoint(EndpointName=name)

    def ask(self, name: str, body: str = "?") -> Any:
        """Return what the JSON says that an endpoint answers."""
        runtime = self.client("sagemaker-runtime")
        return json.load(runtime.invoke_endpoint(EndpointName=name, Body=body.encode())["Body"])

    def wait(self, truth: Any) -> None:
        assert eventually(truth, WITHIN_S)
