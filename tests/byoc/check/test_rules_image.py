"""What the rules on an image make of what Docker tells of it."""

from types import SimpleNamespace

import pytest
from docker_stand_in import asked, stand_in
from faults_image import TOKEN

from byoc.check.facts import Facts
from byoc.check.files import Entry, Files
from byoc.check.question import Question
from byoc.check.rules import credentials, image, programs
from byoc.check.secret_shapes import is_secret, secrets_in, secrets_in_variables
from byoc.check.verdict import CannotTestError, Outcome
from byoc.runtime.dockerfile import SYSTEM_PATH
from byoc.runtime.images import DockerImage

PASS, FAIL, WARN, UNTESTED = Outcome.PASS, Outcome.FAIL, Outcome.WARN, Outcome.UNTESTED
RULES = {rule.id: rule for module in (image, programs, credentials) for rule in module.RULES}
PYTHON = b"#!/usr/bin/env python3\n"
FILE, PROGRAM, LINK = 0o100644, 0o100755, 0o120777
ELF_OF = {"amd64": 62, "arm64": 183}
OCI = "application/vnd.oci.image.manifest.v1+json"
TAKEN = "application/vnd.docker.distribution.manifest.v2+json"


def elf(architecture, loader=b""):
    head = b"\x7fELF\x02\x01\x01" + bytes(11) + ELF_OF[architecture].to_bytes(2, "little")
    return head + bytes(44) + loader + b"\0"


def program(path, content=PYTHON, mode=PROGRAM):
    return Entry(path, mode, len(content), content=content)


def tried(rule, files=(), instance_type="ml.m5.large", **facts):
    """Return the verdict on an image of Docker's with these files and a common system."""
    system = [
        program("/usr/bin/env", elf("amd64")),
        program("/usr/bin/python3.12", elf("amd64")),
        Entry("/usr/bin/python3", LINK, link="python3.12"),
        Entry("/bin", LINK, link="usr/bin"),
        program("/usr/bin/sh", elf("amd64")),
    ]
    facts = {"entrypoint": None, "command": None, "architecture": "amd64", **facts}
    lab = SimpleNamespace(
        facts=Facts(**facts),
        files=Files({entry.path: entry for entry in (*system, *files)}, is_whole=True),
        image=DockerImage("image"),
        question=Question(DockerImage("image"), instance_type=instance_type),
    )
    return RULES[rule].test(lab)


BOTH = (program("/usr/local/bin/serve"), program("/usr/local/bin/train"))


@pytest.mark.parametrize(
    ("instance_type", "architecture"),
    [
        ("ml.m5.large", "amd64"),
        ("ml.g4dn.xlarge", "amd64"),
        ("ml.c6gn.xlarge", "arm64"),
        ("ml.c7g.xlarge", "arm64"),
        ("ml.r8g.4xlarge", "arm64"),
        ("ml.x2gd.xlarge", "arm64"),
        ("ml.g5g.xlarge", "arm64"),
        ("ml.g5.xlarge", "amd64"),
        ("ml.inf2.xlarge", "amd64"),
        ("ml.p6e-gb200.36xlarge", "arm64"),
        ("ml.p6-b200.48xlarge", "amd64"),
        ("ml.c7i.large", "amd64"),
    ],
)
def test_instance_families_have_their_processors(instance_type, architecture):
    assert image.architecture_of(instance_type) == architecture


def test_an_image_is_for_the_processors_of_its_instances():
    rule = "image-architecture"
    assert tried(rule).outcome is PASS
    verdict = tried(rule, architecture="arm64")
    assert (verdict.outcome, "--platform linux/amd64" in verdict.mend) == (FAIL, True)
    assert tried(rule, architecture="arm64", instance_type="ml.c7g.large").outcome is PASS
    assert tried(rule, architecture="").outcome is UNTESTED


ECR = "123456789012.dkr.ecr.us-east-1.amazonaws.com/own@sha256:0"


@pytest.mark.parametrize(
    ("facts", "manifest", "outcome"),
    [
        ({}, None, UNTESTED),
        ({"digests": (ECR,)}, {"mediaType": TAKEN}, PASS),
        ({"digests": (ECR,)}, {"mediaType": OCI}, FAIL),
        ({"digests": (ECR,)}, {"manifests": []}, FAIL),
        ({"digests": (ECR,)}, {"config": {}}, FAIL),
        ({"digests": (ECR,)}, None, UNTESTED),
        ({"digests": (ECR,), "media_type": OCI}, None, FAIL),
        ({"digests": ("debian@sha256:0", "org/x@sha256:0")}, {"mediaType": OCI}, UNTESTED),
        ({"media_type": OCI}, None, FAIL),
        ({"media_type": TAKEN}, None, PASS),
    ],
)
def test_a_registry_or_else_the_engine_tells_of_the_manifest(facts, manifest, outcome, tmp_path, monkeypatch):
    stand_in(tmp_path / "bin", monkeypatch, manifest=manifest)
    assert tried("image-manifest", **facts).outcome is outcome


def test_a_registry_of_this_machine_is_asked_without_tls(tmp_path, monkeypatch):
    stand_in(tmp_path / "bin", monkeypatch, manifest={"mediaType": TAKEN})
    tried("image-manifest", digests=("127.0.0.1:5000/x@sha256:0",))
    assert asked(tmp_path / "bin")[0][:3] == ["manifest", "inspect", "--insecure"]


@pytest.mark.parametrize(
    ("size", "outcome"), [(None, UNTESTED), (10_000_000_000, PASS), (10_100_000_000, WARN)]
)
def test_ten_gigabytes_are_the_most(size, outcome):
    assert tried("image-size", size_bytes=size).outcome is outcome


@pytest.mark.parametrize(
    ("entrypoint", "outcome"),
    [
        ("python serve.py", FAIL),
        (("/bin/bash", "-o", "pipefail", "-c", "python serve.py"), FAIL),
        (("tini", "--", "sh", "-c", "serve"), FAIL),
        (("sh", "-c", 'exec "$0" "$@"'), PASS),
        (("bash", "/start.sh"), PASS),
        (("python", "/app/serve.py"), PASS),
        (("/usr/bin/env",), PASS),
        (("/usr/bin/tini", "-g"), WARN),
        (("/usr/bin/tini", "-g", "--"), PASS),
        (("dumb-init",), PASS),
    ],
)
def test_an_entrypoint_passes_on_the_word_and_the_signal(entrypoint, outcome):
    assert tried("entrypoint-exec-form", entrypoint=entrypoint).outcome is outcome


def test_serve_takes_the_place_of_cmd():
    rule = "entrypoint-exec-form"
    verdict = tried(rule, command=("python", "serve.py"))
    assert (verdict.outcome, 'CMD ["python", "serve.py"]' in verdict.seen) == (FAIL, True)
    assert tried(rule, BOTH, command=("python3",)).outcome is PASS
    for files, command in [((), None), ([program("/app/serve")], ("python3",))]:
        with pytest.raises(CannotTestError, match="program-found"):
            tried(rule, files, command=command)
        assert tried("program-found", files, command=command).outcome is FAIL
    with pytest.raises(CannotTestError, match="entrypoint-exec-form"):
        tried("program-found", command=("python3",))


@pytest.mark.parametrize(
    ("labels", "outcome"),
    [
        ({}, PASS),
        ({"maintainer": "me"}, PASS),
        ({"com.amazonaws.sagemaker.capabilities.multi-models": "true"}, PASS),
        ({"com.amazonaws.sagemaker.capabilities.multi-models": "yes"}, WARN),
        ({"com.amazonaws.sagemaker.capabilities.multi-model": "true"}, WARN),
        ({"com.amazon.sagemaker.capabilities.multi-models": "true"}, WARN),
        ({"com.amazonaws.sagemaker.capabilities.something-quite-new": "true"}, PASS),
    ],
)
def test_labels_are_those_that_sagemaker_reads(labels, outcome):
    assert tried("labels-known", labels=labels).outcome is outcome


@pytest.mark.parametrize(
    ("path", "facts", "outcome"),
    [
        ("/opt/ml/code/x", {}, PASS),
        ("/opt/ml/models/x", {}, PASS),
        ("/opt/ml/model/x", {}, WARN),
        ("/opt/ml/model/x", {"workdir": "/opt/ml/model"}, FAIL),
        ("/opt/ml/input/run.py", {"entrypoint": ("python3", "/opt/ml/input/run.py")}, FAIL),
        ("/opt/ml/output/serve", {"environment": {"PATH": f"/opt/ml/output:{SYSTEM_PATH}"}}, FAIL),
    ],
)
def test_what_sagemaker_mounts_over_holds_nothing(path, facts, outcome):
    assert tried("opt-ml-empty", [program(path)], **facts).outcome is outcome


@pytest.mark.parametrize(
    ("user", "outcome"), [("", PASS), ("root", PASS), ("0:0", PASS), ("1000", WARN), ("app:app", WARN)]
)
def test_sagemaker_expects_root(user, outcome):
    assert tried("runs-as-root", user=user).outcome is outcome


@pytest.mark.parametrize(
    ("files", "entrypoint", "outcome", "said"),
    [
        (BOTH, None, PASS, "train is /usr/local/bin/train"),
        (BOTH[:1], None, PASS, "no train"),
        (BOTH[1:], None, PASS, "no serve"),
        (BOTH, ("/usr/bin/env",), PASS, "serve is"),
        (BOTH, ("tini", "-s", "--", "env", "A=b"), PASS, "serve is"),
        ([program("/app/serve")], ("/usr/bin/env",), FAIL, "/app/serve is not on PATH"),
        ([], ("python3", "/app/run.py"), FAIL, "/app/run.py"),
        ([program("/app/run.py")], ("python3", "-u", "/app/run.py"), PASS, "python3"),
        ([], ("python3", "-m", "app"), PASS, "python3"),
        ([], ("gunicorn", "app:app"), FAIL, "gunicorn, and there is no such file on PATH"),
        ([program("/start")], ("/start",), PASS, "/start"),
    ],
)
def test_what_train_and_serve_start_is_found(files, entrypoint, outcome, said):
    verdict = tried("program-found", files, entrypoint=entrypoint)
    assert (verdict.outcome, said in verdict.seen) == (outcome, True), verdict.seen


def test_programs_behind_a_shell_are_another_rules_matter():
    for rule in ("program-found", "program-executable", "program-line-ends", "program-interpreter"):
        with pytest.raises(CannotTestError, match="entrypoint-exec-form"):
            tried(rule, BOTH, entrypoint="serve")


def test_a_program_has_the_bit_that_lets_it_run():
    assert tried("program-executable", BOTH).outcome is PASS
    verdict = tried("program-executable", [program("/usr/bin/serve", mode=FILE)])
    assert (verdict.outcome, "mode 644" in verdict.seen) == (FAIL, True)


@pytest.mark.parametrize(
    ("content", "outcome"),
    [
        (PYTHON, PASS),
        (b"#!/bin/sh", PASS),
        (b"#!/bin/sh\necho\r\n", PASS),
        (b"#!/bin/sh\r\n", FAIL),
        (b"\xef\xbb\xbf#!/bin/sh\n", FAIL),
        (b"\xff\xfe#\0!\0", FAIL),
        (elf("amd64") + b"\r\n", PASS),
    ],
)
def test_a_first_line_ends_as_the_kernel_reads_it(content, outcome):
    assert tried("program-line-ends", [program("/usr/bin/serve", content)]).outcome is outcome


def test_a_script_for_a_shell_has_no_carriage_returns_either():
    script = [program("/run.sh", b"set -e\r\nserve\r\n", FILE)]
    assert tried("program-line-ends", script, entrypoint=("sh", "/run.sh")).outcome is FAIL


@pytest.mark.parametrize(
    ("content", "outcome"),
    [
        (PYTHON, PASS),
        (b"#!/usr/bin/python3 -u\n", PASS),
        (b"#! /bin/sh -e\n", PASS),
        (b"#!/usr/bin/env -S python3 -u\n", PASS),
        (b"#!/usr/bin/env -S A=b python3\n", PASS),
        (b"#!/usr/bin/env python3 -u\n", FAIL),
        (b"#!/usr/bin/env python\n", FAIL),
        (b"#!/bin/bash\n", FAIL),
        (b"#!/srv/me/.venv/bin/python\n", FAIL),
        (b"import this\n", FAIL),
        (b"", FAIL),
        (b"#!/usr/bin/env python3\r\n", PASS),
        (elf("amd64"), PASS),
        (elf("arm64"), FAIL),
        (elf("amd64", b"/lib/ld-musl-x86_64.so.1"), FAIL),
    ],
)
def test_what_runs_a_program_is_in_the_image(content, outcome):
    verdict = tried("program-interpreter", [program("/usr/bin/serve", content)])
    assert verdict.outcome is outcome, verdict.seen


def test_a_loader_that_is_there_loads_a_program():
    files = [
        program("/usr/bin/serve", elf("amd64", b"/lib64/ld-linux-x86-64.so.2")),
        program("/lib64/ld-linux-x86-64.so.2", elf("amd64")),
    ]
    assert tried("program-interpreter", files).outcome is PASS


def test_env_has_sh_run_what_begins_with_nothing():
    files = [program("/usr/bin/serve", b"exec gunicorn\n")]
    assert tried("program-interpreter", files, entrypoint=("env",)).outcome is WARN


HOME = "/root"  # of who runs programs in most images
KEY_ID = "AKIA" + "Q3EGRZ7TNV5LXW2D"
KEY = "kV9tLm2QxRs8ZbNw" + "4Tc7HyJd/PfUe1Ga6KoXiVbM"


@pytest.mark.parametrize(
    ("path", "content", "outcome"),
    [
        ("/app/.env", f"A_TOKEN={TOKEN}", FAIL),
        ("/app/settings.env", "DB_PASSWORD='kj3h4kjh5'", FAIL),
        ("/app/.env", "DB_PASSWORD=$DB_PASSWORD\nTOKEN=\nMAX_TOKEN=512\nSECRET=your-secret-here", PASS),
        ("/app/.env.example", "DB_PASSWORD=kj3h4kjh5", PASS),
        ("/app/main.py", "password = os.environ['DB_PASSWORD']", PASS),
        ("/app/main.py", f"token = '{TOKEN}'", FAIL),
        ("/app/main.py", f"# {KEY_ID}\nkey = '{KEY}'", FAIL),
        ("/app/main.py", f"# {KEY_ID}, its secret key is elsewhere", PASS),
        ("/app/main.py", f"{KEY_ID} of commit 9b2d6f3c1a7e8054d2c9b8a7f6e5d4c3b2a19080", PASS),
        (f"{HOME}/.aws/credentials", f"[default]\naws_secret_access_key = {KEY}\n", FAIL),
        (
            "/app/README.md",
            "AKIAIOSFODNN7EXAMPLE\naws_secret_access_key=wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
            PASS,
        ),
        (f"{HOME}/.netrc", "machine x login me password kj3h4kjh5", FAIL),
        (f"{HOME}/.pypirc", "[pypi]\nusername = me\npassword = kj3h4kjh5", FAIL),
        (f"{HOME}/.npmrc", "//registry/:_authToken=kj3h4kjh5kj3h4kjh5", FAIL),
        (f"{HOME}/.docker/config.json", '{"auths": {"x": {"auth": "bWU6a2ozaDRramg1"}}}', FAIL),
        ("/app/config.json", '{"auth": "bWU6a2ozaDRramg1"}', PASS),
        ("/etc/pip.conf", "index-url = https://me:kj3h4kjh5@pypi.example.com/simple", FAIL),
        ("/etc/pip.conf", "index-url = https://pypi.example.com/simple", PASS),
        ("/etc/pip.conf", "index-url = https://me:${PASSWORD}@pypi.example.com/simple", PASS),
        (f"{HOME}/.git-credentials", "https://me:kj3h4kjh5@git.example.com", FAIL),
        ("/app/client.py", "# such as http://user:kj3h4kjh5@host", PASS),
        ("/app/k.pem", "-----BEGIN RSA PRIVATE KEY-----\n" + "MIIEow9bT3" * 6, FAIL),
        ("/app/gcp.json", '"-----BEGIN PRIVATE KEY-----\\n' + "MIIEow9bT3" * 6, FAIL),
        ("/app/x.py", 'if "-----BEGIN PRIVATE KEY-----" in text:', PASS),
        ("/usr/share/x/k.pem", "-----BEGIN RSA PRIVATE KEY-----\n" + "MIIEow9bT3" * 6, PASS),
        ("/app/lib/python3.12/site-packages/k.pem", "-----BEGIN PRIVATE KEY-----\n" + "MIIEow9bT3" * 6, PASS),
        ("/app/x.bin", f"\0{TOKEN}", PASS),
    ],
)
def test_credentials_in_files_are_found_and_what_only_looks_so_is_not(path, content, outcome):
    verdict = tried("no-credentials", [program(path, content.encode(), FILE)])
    assert verdict.outcome is outcome, verdict.seen
    assert outcome is PASS or path in verdict.seen


@pytest.mark.parametrize(
    ("facts", "said"),
    [
        ({"environment": {"AWS_SECRET_ACCESS_KEY": KEY}}, "ENV AWS_SECRET_ACCESS_KEY"),
        ({"environment": {"PIP_INDEX_URL": "https://me:kj3h4kjh5@x/simple"}}, "ENV PIP_INDEX_URL"),
        ({"labels": {"token": TOKEN}}, "LABEL token"),
        ({"history": ("FROM x", f"RUN |1 NPM_TOKEN={KEY} /bin/sh -c npm ci")}, "instruction 2"),
        ({"history": (f"RUN git clone https://me:{TOKEN}@x/y",)}, "instruction 1"),
    ],
)
def test_credentials_are_found_wherever_an_image_keeps_what_it_is_told(facts, said):
    verdict = tried("no-credentials", **facts)
    assert (verdict.outcome, said in verdict.seen) == (FAIL, True), verdict.seen


def test_ordinary_variables_and_instructions_are_none():
    facts = {
        "environment": {
            "GPG_KEY": "7169605F62C751356D054A26A821E680E5FA6305",
            "TOKENIZERS_PARALLELISM": "false",
            "HF_TOKEN": "",
            "EOS_TOKEN": "</s>",
            "PYTHON_SHA256": "c08bc65a81971c1dd5783182826503369466c7e67374d1646519adf05207b684",
        },
        "history": (
            "RUN --mount=type=secret,id=pip_conf,target=/etc/pip.conf pip install x",
            "RUN export TOKEN=$(cat /run/secrets/token) && PASSWORD=$PASSWORD ./x",
            "ARG NPM_TOKEN",
        ),
    }
    assert tried("no-credentials", **facts).outcome is PASS


def test_no_more_of_a_secret_is_shown_than_tells_which_it_is():
    environment = {"HF_TOKEN": TOKEN, "DB_PASSWORD": "kj3h4kjh5"}
    shown = [str(secret) for secret in secrets_in_variables(environment, "ENV")]
    assert shown == ["ENV HF_TOKEN: a secret by its name, hf_Q...", "ENV DB_PASSWORD: a secret by its name"]
    found = [*secrets_in(f"\n\nx = '{TOKEN}'".encode(), "/x.py", "/x.py")]
    assert str(found[0]) == "/x.py line 3: a Hugging Face token, hf_Q..."


@pytest.mark.parametrize("value", ["", "short", "xxxxxxxxxxxx", "<your token>", "changeme123", "********"])
def test_a_placeholder_is_no_secret(value):
    assert not is_secret(value)
