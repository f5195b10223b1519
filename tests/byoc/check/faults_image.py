"""Faults of an image as it lies there."""

from faulty import Fault

# What a folder cannot show: test_rules_image.py does.
ONLY_IN_DOCKER = {"image-manifest", "image-size"}

# In two pieces, as no scanner of this repository shall take it for one.
TOKEN = "hf_" + "QxvTzrLmNbKpWyHdGfJsCqVtZrMnBlXwPk"
DOCKERFILE_END = "WORKDIR /opt/program\n"
PATH = "ENV PATH=/opt/program:$PATH\n"
SHEBANG = "#!/usr/bin/env python3\n"

FAULTS = [
    Fault("dockerfile-builds", (("Dockerfile", "COPY .", "COPY absent.txt /opt/\nCOPY ."),)),
    Fault("image-architecture", (("Dockerfile", "FROM python", "FROM --platform=linux/arm64 python"),)),
    Fault(
        "entrypoint-exec-form",
        (("Dockerfile", DOCKERFILE_END, f"{DOCKERFILE_END}ENTRYPOINT python3 /opt/program/serve\n"),),
        name="entrypoint-exec-form: shell form",
    ),
    Fault(
        "entrypoint-exec-form",
        (("Dockerfile", DOCKERFILE_END, f'{DOCKERFILE_END}ENTRYPOINT ["/bin/bash", "-c", "serve"]\n'),),
        name="entrypoint-exec-form: a shell in exec form",
    ),
    Fault(
        "entrypoint-exec-form",
        (("Dockerfile", DOCKERFILE_END, f'{DOCKERFILE_END}ENTRYPOINT ["tini"]\n'),),
        name="entrypoint-exec-form: tini",
    ),
    Fault(
        "labels-known",
        (("Dockerfile", "accept-bind-to-port=true", "accept-bind-to-port=yes"),),
        name="labels-known: a label's value",
    ),
    Fault(
        "labels-known",
        (("Dockerfile", "accept-bind-to-port", "accept-bind-port"),),
        name="labels-known: a label's name",
    ),
    Fault("opt-ml-empty", (("Dockerfile", PATH, f"{PATH}COPY train /opt/ml/model/\n"),)),
    Fault("runs-as-root", (("Dockerfile", DOCKERFILE_END, f"{DOCKERFILE_END}USER nobody\n"),)),
    Fault("program-found", (("Dockerfile", PATH, ""),), name="program-found: not on PATH"),
    Fault(
        "program-found",
        (("Dockerfile", DOCKERFILE_END, f'{DOCKERFILE_END}ENTRYPOINT ["python3", "run.py"]\n'),),
        name="program-found: no such script",
    ),
    Fault(
        "program-executable",
        (
            ("bin/serve", None, SHEBANG),
            ("Dockerfile", PATH, "ENV PATH=/opt/program/bin:$PATH\n"),
        ),
    ),
    Fault(
        "program-line-ends",
        (("serve", SHEBANG, "#!/usr/bin/env python3\r\n"),),
        name="program-line-ends: Windows line ends",
    ),
    Fault(
        "program-line-ends",
        (("train", SHEBANG, f"\ufeff{SHEBANG}"),),
        name="program-line-ends: a byte order mark",
    ),
    Fault("program-interpreter", (("train", SHEBANG, ""),), name="program-interpreter: no #!"),
    Fault(
        "program-interpreter",
        (("serve", SHEBANG, "#!/usr/bin/env python3 -u\n"),),
        name="program-interpreter: env with an option",
    ),
    Fault("no-credentials", ((".env", None, f"HF_TOKEN={TOKEN}\n"),), name="no-credentials: a file"),
    Fault(
        "no-credentials",
        (("Dockerfile", PATH, f"{PATH}ENV HF_TOKEN={TOKEN}\n"),),
        name="no-credentials: a variable",
    ),
    Fault(
        "no-credentials",
        (("Dockerfile", PATH, f"{PATH}RUN pip install -i https://me:{TOKEN}@pypi.example.com/simple x\n"),),
        name="no-credentials: a URL",
    ),
]
