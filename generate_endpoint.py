"""Puts a model version behind a SageMaker endpoint, as endpoint.toml says; a door to byoc.deploy."""

import sys
from pathlib import Path

import click

from byoc.aws import connect
from byoc.cli import main
from byoc.config import FILE, Spec, Target, flags, read, version_in
from byoc.deploy.deploy import How, delete, deploy
from byoc.nearby import local_told


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--config", type=Path, default=Path(__file__).with_name(FILE), help=f"instead of {FILE}")
@flags(Spec)
@click.option("--direct", is_flag=True, help="no training job and no SDK: the model version's own files")
@click.option("--delete", "deletes", is_flag=True, help="delete the endpoint, its configurations and models")
@click.option("--dry-run", is_flag=True, help="only say what would be done")
@click.option("--yes", is_flag=True, help="update or delete an existing endpoint without asking")
@local_told()
def generate_endpoint(
    config: Path, *, direct: bool, deletes: bool, dry_run: bool, yes: bool, **given: object
) -> None:
    """Put a model version behind a SageMaker endpoint, as endpoint.toml says.

    An existing endpoint is updated to it. Every key of endpoint.toml has a flag, which goes before the file.
    """
    how = How(direct=direct, dry_run=dry_run, yes=yes)
    if deletes:
        target = read(Target, config, {key: given[key] for key in Target.model_fields})
        aws = connect(target.region, target.profile)
        with aws.explained():
            delete(aws, target, how)
        return
    if given["model_version"] == "-":
        given |= version_in(sys.stdin.buffer.read().decode(errors="replace"))
    spec = read(Spec, config, given)
    aws = connect(spec.region, spec.profile)
    with aws.explained():
        deploy(aws, spec, how)


if __name__ == "__main__":
    sys.exit(main(command=generate_endpoint.main, program=Path(__file__).name))
