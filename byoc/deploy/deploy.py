"""All that generate_endpoint.py does, from what was asked to what is said last: deploys, or deletes again."""

import sys
from dataclasses import dataclass

from byoc.aws import Aws
from byoc.config import Spec, Target
from byoc.deploy.absent import others_than
from byoc.deploy.apply import Deployment, apply, require_means
from byoc.deploy.consent import consent
from byoc.deploy.invoke import sample_of
from byoc.deploy.names import names_of
from byoc.deploy.notes import notes_on
from byoc.deploy.observe import find_inputs, observe, observe_made, refuse_another_account
from byoc.deploy.plan import Plan, folder_of, plan, plan_deletion
from byoc.stages import Stages


@dataclass(frozen=True)
class How:
    """How to go about it: without a training job, only saying what would be done, without a question."""

    direct: bool = False
    dry_run: bool = False
    yes: bool = False


def deploy(aws: Aws, spec: Spec, how: How) -> None:
    """Put a model version behind an endpoint, saying on stdout where, what, how far, and how to go on.

    Raises:
        ByocError: it cannot be had; the message says why and what to do, a note what exists by then.
        botocore.exceptions.ClientError: AWS refuses.
    """
    sample, where, out = sample_of(spec), aws.where(), Stages((), sys.stdout)
    out.say(str(where))
    refuse_another_account(spec, where)
    inputs = find_inputs(aws, where, spec)
    for note in inputs.notes:
        out.say(f"Note: {note}")
    names = names_of(spec, inputs, direct=how.direct)
    seen = observe(aws, spec, inputs, names, direct=how.direct)
    decided = plan(spec, names, seen, sample, direct=how.direct)
    require_means(decided)
    for note in notes_on(spec, seen, direct=how.direct) if decided.steps else ():
        out.say(f"Note: {note}")
    out.say(str(decided) if decided.steps else f"Endpoint {spec.name} is as it should be: nothing to do.")
    if how.dry_run:
        return
    _carry_out(decided, aws, how)
    out.say(f"Endpoint {spec.name} is InService. Ask it: python test_endpoint.py {spec.name}")
    out.say(f"Delete it: aws sagemaker delete-endpoint --endpoint-name {spec.name}{aws.options}")
    out.say(f"Or with its models and configurations: {_deleting(spec.name, aws)}")
    if not how.direct:
        out.say(f"And its files: aws s3 rm --recursive {folder_of(spec)}/{aws.options}")


def delete(aws: Aws, target: Target, how: How) -> None:
    """Delete an endpoint with the endpoint configurations and models that were made for it; safe to repeat.

    Raises:
        ByocError: nobody agreed to it.
        botocore.exceptions.ClientError: AWS refuses.
    """
    where, out = aws.where(), Stages((), sys.stdout)
    out.say(str(where))
    refuse_another_account(target, where)
    decided = plan_deletion(target.name, observe_made(aws, target.name))
    if not decided.steps:
        others = others_than(aws, target.name)
        out.say(f"There is nothing of endpoint {target.name}: nothing to do. {others}".rstrip())
        return
    out.say(str(decided))
    if not how.dry_run:
        _carry_out(decided, aws, how)


def _deleting(name: str, aws: Aws) -> str:
    return f"python generate_endpoint.py --delete --name {name}{aws.options}"


def _carry_out(decided: Plan, aws: Aws, how: How) -> None:
    consent(decided.question, yes=how.yes)
    apply(decided, Deployment(aws), Stages([step.title for step in decided.steps], sys.stdout))
