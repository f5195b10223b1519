"""Puts a model version behind a SageMaker endpoint, as endpoint.toml says; a door to byoc.deploy."""

import sys
from pathlib import Path

import click

from byoc.aws import connect, explained
from byoc.cli import main
from byoc.config import FILE, Spec, flags, read, version_in
from byoc.deploy.apply import Deployment, apply, options_of, require_sdk
from byoc.deploy.consent import consent
from byoc.deploy.invoke import sample_of
from byoc.deploy.names import names_of
from byoc.deploy.observe import find_inputs, observe, refuse_another_account
from byoc.deploy.plan import plan
from byoc.stages import Stages


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--config", type=Path, default=Path(__file__).with_name(FILE), help=f"instead of {FILE}")
@flags(Spec)
@click.option("--direct", is_flag=True, help="no training job and no SDK: the model version's own files")
@click.option("--dry-run", is_flag=True, help="only say what would be done")
@click.option("--yes", is_flag=True, help="update an existing endpoint without asking")
@explained()
def generate_endpoint(config: Path, *, direct: bool, dry_run: bool, yes: bool, **given: object) -> None:
    """Put a model version behind a SageMaker endpoint, as endpoint.toml says.

    An existing endpoint is updated to it. Every key of endpoint.toml has a flag, which goes before the file.
    """
    if given["model_version"] == "-":
        given |= version_in(sys.stdin.read())
    spec = read(Spec, config, given)
    sample = sample_of(spec)
    aws = connect(spec.region, spec.profile)
    where, out = aws.where(), Stages((), sys.stdout)
    out.say(str(where))
    refuse_another_account(spec, where)
    inputs = find_inputs(aws, where, spec)
    for note in inputs.notes:
        out.say(f"Note: {note}")
    names = names_of(spec, inputs, direct=direct)
    decided = plan(spec, names, observe(aws, spec, inputs, names, direct=direct), sample, direct=direct)
    require_sdk(decided)
    options = options_of(aws.region, spec.profile)
    out.say(str(decided) if decided.steps else f"Endpoint {spec.name} is as it should be: nothing to do.")
    if not dry_run:
        consent(decided.question, yes=yes)
        apply(decided, Deployment(aws, options), Stages([step.title for step in decided.steps], sys.stdout))
        out.say(f"Endpoint {spec.name} is InService. Ask it: python test_endpoint.py {spec.name}")
        out.say(f"Delete it: aws sagemaker delete-endpoint --endpoint-name {spec.name}{options}")


if __name__ == "__main__":
    sys.exit(main(command=generate_endpoint.main, program=Path(__file__).name))
