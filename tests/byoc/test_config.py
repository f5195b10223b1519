"""endpoint.toml: what it may hold, the flags, and what is said of what it may not."""

import re
import tomllib
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from byoc.config import FILE, ConfigError, Spec, Target, flags, read, version_in

ROOT = Path(__file__).parents[2]
SAMPLE = (ROOT / FILE).read_text()
SHA256 = "0" * 64
WHOLE = f"""
name = "cancer"
image = "my-model"
model_version = "s3://models/m/cancer/0123456789abcdef/"
model_manifest_sha256 = "{SHA256}"
role = "TheRole"
"""


@pytest.fixture
def file(tmp_path, monkeypatch):
    """An endpoint.toml in the current folder, with all that must be in it."""
    monkeypatch.chdir(tmp_path)
    file = tmp_path / FILE
    file.write_text(WHOLE)
    return file


def problems(file, more="", **given):
    file.write_text(WHOLE + more)
    with pytest.raises(ConfigError) as raised:
        read(Spec, file, given)
    return str(raised.value).splitlines()


def test_what_is_not_given_has_a_default(file):
    spec = read(Spec, file, {})
    assert (spec.instance_type, spec.instance_count, spec.max_run) == ("ml.m5.large", 1, 1800)
    assert (spec.region, spec.subnets, spec.environment) == (None, (), {})


def test_paths_in_the_file_start_from_its_folder_and_those_of_flags_from_ours(file, tmp_path, monkeypatch):
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    monkeypatch.chdir(elsewhere)
    file.write_text('smoke_file = "one.csv"' + WHOLE)
    spec = read(Spec, file, {})
    assert (spec.dummy_data, spec.smoke_file) == (tmp_path / "dummy_data", tmp_path / "one.csv")
    assert read(Spec, file, {"smoke_file": "two.csv"}).smoke_file == Path("two.csv")


def test_a_flag_goes_before_the_file_and_adds_to_its_tables(file):
    file.write_text(WHOLE + 'instance_count = 2\n[environment]\nA = "file"\nB = "file"\n')
    spec = read(Spec, file, {"instance_count": 3, "environment": ("A=flag", "C=x=y"), "subnets": ()})
    assert spec.instance_count == 3
    assert spec.environment == {"A": "flag", "B": "file", "C": "x=y"}


@pytest.mark.bad_input
@pytest.mark.parametrize(
    ("more", "told"),
    [
        ("instnce_count = 2", "endpoint.toml: instnce_count is no key. Did you mean instance_count?"),
        ("scaling = 2", "endpoint.toml: scaling is no key. There are: name, region, "),
        ('instance_count = "2"', 'endpoint.toml: instance_count is "2". Give a whole number of 1 or more.'),
        ("instance_count = 0", "endpoint.toml: instance_count is 0. Give a whole number of 1 or more."),
        ("instance_count = true", "endpoint.toml: instance_count is true. Give a whole number"),
        ("account = 123456789012", "endpoint.toml: account is 123456789012. Give its 12 digits, in quotes."),
        (
            "startup_timeout = 59",
            "endpoint.toml: startup_timeout is 59. Give a whole number from 60 to 3600.",
        ),
        ('instance_type = "large"', 'endpoint.toml: instance_type is "large". Give a type such as'),
        ('region = "Frankfurt"', 'endpoint.toml: region is "Frankfurt". Give a region, such as eu-west-1.'),
        (
            'subnets = "subnet-1"\nsecurity_groups = ["sg"]',
            'endpoint.toml: subnets is "subnet-1". Give a list of up to 16',
        ),
        (
            'subnets = ["a", 2]\nsecurity_groups = ["sg"]',
            "endpoint.toml: subnets[1] is 2. Give a list of up to 16, such as subnet-0a1b.",
        ),
        (
            "[environment]\nA = 1",
            "endpoint.toml: environment.A is 1. Give letters, digits and _ as names and text",
        ),
        ('[environment]\n"A-B" = "1"', 'endpoint.toml: environment.A-B is "A-B". Give letters, digits and _'),
        ("environment = 3", "endpoint.toml: environment is 3. Give letters, digits and _ as names"),
        (
            '[environment]\nMODEL_MANIFEST_SHA256 = "1"',
            "environment.MODEL_MANIFEST_SHA256 is set by this program. Give model_manifest_sha256 instead.",
        ),
        ('subnets = ["a"]', "subnets is given without security_groups. Give both, or none."),
        ('security_groups = ["a"]', "security_groups is given without subnets. Give both, or none."),
        ("dummy_data = 3", "endpoint.toml: dummy_data is 3. Give the path of a folder."),
        (f'bucket = "{"B" * 99}"', f"endpoint.toml: bucket is \"{'B' * 79}.... Give a bucket's name"),
    ],
)
def test_what_cannot_be_used_is_named_with_what_is_allowed(file, more, told):
    (problem,) = problems(file, more)
    assert problem.startswith(told)


@pytest.mark.bad_input
@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("name", "under_score"),
        ("name", "-first"),
        ("name", "n" * 64),
        ("model_version", "https://models/m"),
        ("model_version", "s3://models"),
        ("model_version", "s3://models//m/"),
        ("model_manifest_sha256", "1234"),
        ("image", "has space"),
        ("role", "arn:aws:iam::1:role/x"),
        ("prefix", "/begins"),
    ],
)
def test_a_flag_that_cannot_be_used_is_named_as_a_flag(file, key, value):
    (problem,) = problems(file, "", **{key: value})
    assert problem.startswith(f'--{key.replace("_", "-")} is "{value}". Give ')


@pytest.mark.bad_input
def test_all_problems_are_told_at_once(file):
    file.write_text('instance_count = 0\nnaame = "x"\nsubnets = ["a"]\n')
    with pytest.raises(ConfigError) as raised:
        read(Spec, file, {"environment": ("A B=1",)})
    told = str(raised.value).splitlines()
    missing = [line for line in told if "is missing" in line]
    assert [line.split()[1] for line in missing] == [
        "name",
        "image",
        "model_version",
        "model_manifest_sha256",
        "role",
    ]
    assert missing[0].endswith("there or with --name.")
    assert sorted(line.split(" is ")[0] for line in told if line not in missing) == [
        "--environment.A B",
        "endpoint.toml: instance_count",
        "endpoint.toml: naame",
        "subnets",
    ]


@pytest.mark.bad_input
def test_a_flag_without_an_equals_sign_is_refused(file):
    assert problems(file, "", tags=("team",)) == ["--tags is team. Give NAME=VALUE."]


@pytest.mark.bad_input
@pytest.mark.parametrize(
    ("content", "told"),
    [
        (
            b"name = cancer",
            "endpoint.toml is not TOML: Invalid value (at line 1, column 8). Text needs quotes",
        ),
        (b'name = "\xff"', "endpoint.toml cannot be read: 'utf-8' codec"),
        (None, "endpoint.toml is not there. Name another with --config"),
    ],
)
def test_a_file_that_cannot_be_read_is_named(file, content, told):
    file.unlink()
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(ConfigError, match=re.escape(told)):
        read(Spec, file, {})


def test_what_test_endpoint_reads_may_be_without_the_rest_and_without_a_file(file):
    file.write_text('name = "cancer"\ninstance_count = 0')
    assert read(Target, file, {}).name == "cancer"
    file.unlink()
    assert read(Target, file, {"name": "given"}).name == "given"


def test_every_key_has_a_flag(file):
    @click.command()
    @flags(Spec)
    def command(**given):
        click.echo(sorted(key for key, value in given.items() if value not in (None, ())))

    told = CliRunner().invoke(command, ["--instance-count", "2", "--subnets", "a", "--subnets", "b"])
    assert told.output == "['instance_count', 'subnets']\n"
    assert {key for option in command.params for key in [option.name]} == set(Spec.model_fields)
    assert all(option.help for option in command.params)


def test_the_sample_names_every_key_and_no_other():
    named = set(re.findall(r"^(?:# )?\[?([a-z_0-9]+)(?:\]| = )", SAMPLE, re.MULTILINE))
    assert named - {"team"} == set(Spec.model_fields)


def test_the_sample_holds_with_all_its_keys_and_shows_the_defaults(tmp_path):
    whole = re.sub(r"^# (?=\[?[A-Za-z_0-9]+(?:\]| = ))", "", SAMPLE, flags=re.MULTILINE)
    file = tmp_path / FILE
    file.write_text(whole)
    its = {"model_version": "s3://models/m/cancer/0123456789abcdef/", "model_manifest_sha256": SHA256}
    given = read(Spec, file, {**its, "bucket": "models"})
    file.write_text(SAMPLE)
    unset = read(Spec, file, its)
    shown = {key for key in Spec.model_fields if getattr(given, key) == getattr(unset, key)}
    assert {"instance_type", "instance_count", "training_instance_type", "max_run", "prefix"} <= shown
    assert set(tomllib.loads(SAMPLE)) == {"name", "image", "role"}


def test_the_version_is_found_in_what_the_upload_prints():
    told = f"round 1\nmodel_version=s3://models/m/\nmodel_manifest_sha256={SHA256}\n"
    assert version_in(told) == {"model_version": "s3://models/m/", "model_manifest_sha256": SHA256}


@pytest.mark.bad_input
def test_a_pipe_through_which_nothing_comes_is_told_as_an_upload_that_failed():
    with pytest.raises(
        ConfigError, match=r"Nothing came through stdin .* the upload has failed: see its mes"
    ):
        version_in("\n")


@pytest.mark.bad_input
def test_a_pipe_without_the_version_is_refused():
    with pytest.raises(ConfigError, match=r"no line model_manifest_sha256=\.\.\. for --model-version -"):
        version_in("model_version=s3://models/m/\n")
