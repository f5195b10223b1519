"""Sends a sample request to a live endpoint and prints the answer; a door to byoc.deploy."""

import sys
from pathlib import Path

import click

from byoc.aws import connect
from byoc.cli import main
from byoc.config import FILE, Target, flags, read
from byoc.deploy.invoke import body_of, content_type_of, invoke, print_answer, sample_of
from byoc.nearby import local_told


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("endpoint", required=False)
@click.option("--file", help="what to send; - is standard input; default: the first request of dummy_data/")
@click.option("--content-type", help="default: by the file's suffix")
@click.option("--accept", help="such as text/csv; default: the container's own")
@click.option("--calls", type=click.IntRange(1), default=1, help="ask so often, and say the median latency")
@click.option("--config", type=Path, default=Path(__file__).with_name(FILE), help=f"instead of {FILE}")
@flags(Target, "account", "dummy_data", "smoke_file")
@local_told()
def test_endpoint(  # noqa: PLR0913 - one for each option
    *,
    endpoint: str | None,
    file: str | None,
    content_type: str | None,
    accept: str | None,
    calls: int,
    config: Path,
    **given: object,
) -> None:
    """Send a sample request to ENDPOINT, by default that of endpoint.toml, and print the answer."""
    target = read(Target, config, {**given, "name": endpoint or given["name"]})
    path = Path(file) if file else sample_of(target)
    sent_as = content_type or content_type_of(path)
    body = body_of(path)
    aws = connect(target.region, target.profile)
    with aws.explained():
        answers = [invoke(aws, target.name, body, sent_as, accept) for _ in range(calls)]
    print_answer(answers, target.name, aws)


if __name__ == "__main__":
    sys.exit(main(command=test_endpoint.main, program=Path(__file__).name))
