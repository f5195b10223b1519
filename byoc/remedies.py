"""What to do about what is missing or refused: on AWS, and on a local SageMaker."""

from dataclasses import asdict, dataclass

_UPLOAD = (
    "python container/custom_algorithm/apps/s3_upload.py container/custom_algorithm/apps/.temps/model "
    "s3://{bucket}/models"
)
_ENV = 'eval "$(byoc local env{port})"'
_USUAL_PORT = 4577


@dataclass(frozen=True)
class Remedies:
    """A sentence for each; `options` in one are what leads the aws CLI to the same place.

    Attributes:
        image: there is no such {repository} or image in it.
        elsewhere: the {image} is in another region than {region}.
        bucket: there is no such {bucket}.
        version: there is no such model version in the {bucket}.
        role: there is no such role {name}; {trust} is the trust policy that it needs.
        trust: SageMaker may not assume the role {name}.
        credentials: there are none.
        log_in: they are refused.
        denied: the caller may not do this.
        profile: there is no such profile.
        region: none is given.
        unreachable: nobody answers.
    """

    image: str
    elsewhere: str
    bucket: str
    version: str
    role: str
    trust: str
    credentials: str
    log_in: str
    denied: str
    profile: str
    region: str
    unreachable: str


AWS = Remedies(
    image="Build and push it: container/build_and_push.sh {repository}{options}",
    elsewhere="Push it there too: container/build_and_push.sh {repository}{options}",
    bucket="Create it: aws s3 mb s3://{bucket}{options}",
    version=f"Upload one: {_UPLOAD}",
    role="Create one, and let it read the model version and write logs: aws iam create-role "
    "--role-name {name} --assume-role-policy-document {trust}{options}",
    trust="Let it: aws iam update-assume-role-policy --role-name {name} --policy-document {trust}{options}",
    credentials="Log in (aws sso login, or aws configure), or name another --profile.",
    log_in="Log in again (aws sso login, or aws configure), or name another --profile.",
    denied="Have it allowed in the caller's policy.",
    profile="The profiles are in ~/.aws/config: aws configure list-profiles.",
    region="Set region in endpoint.toml, --region or AWS_REGION.",
    unreachable="Is the network up, and the region right?",
)
_LOCAL = Remedies(
    image="Name the folder with its train and serve: byoc local add {repository}=DIR{port}",
    elsewhere="A local SageMaker has its images in {region}: name it without its registry, {repository}.",
    bucket=f"Create it, and upload the model: aws s3 mb s3://{{bucket}} && {_UPLOAD}",
    version=f"Upload it to this local SageMaker: {_UPLOAD}",
    role="Take SageMakerExecutionRole, which a local SageMaker has, or create this one: aws iam create-role "
    "--role-name {name} --assume-role-policy-document {trust}",
    trust="Let it: aws iam update-assume-role-policy --role-name {name} --policy-document {trust}",
    credentials=f"Take those of the local SageMaker: {_ENV}",
    log_in="These are the keys of one that has ended.",  # it has said itself how to get its own
    denied=f"Use the URL and the keys of the local SageMaker: {_ENV}",
    profile="A local SageMaker has no profiles: leave profile out of endpoint.toml and the flags.",
    region=f"Take that of the local SageMaker: {_ENV}",
    unreachable=f"Start a local SageMaker, and tell this shell of it: byoc local up{{port}} && {_ENV}",
)


def local(port: int | None) -> Remedies:
    """Return what to do where a local SageMaker listens, or did, on a port."""
    option = "" if port in (None, _USUAL_PORT) else f" --port {port}"
    return Remedies(**{name: text.replace("{port}", option) for name, text in asdict(_LOCAL).items()})
