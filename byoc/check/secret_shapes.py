"""What credentials look like, in variables and in files; what is found is never shown, but for its begin."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath

_SHOWN = 4
_SHORTEST = 8
_NAME = r"[A-Za-z0-9_]*(?:TOKEN|SECRET|PASSWORD|PASSWD|API_?KEY|SECRET_?(?:ACCESS_?)?KEY|PRIVATE_?KEY)"
_SECRET_NAME = re.compile(_NAME, re.IGNORECASE)
_ASSIGNMENT = re.compile(rf"(?<![\w$-])({_NAME})=(\"[^\"\n]*\"|'[^'\n]*'|[^\s;&|]+)".encode(), re.IGNORECASE)
_PLACEHOLDER = re.compile(
    r"|[$%<{.].*|/[^+=]{0,38}|(.)\1*"
    r"|.*(?:EXAMPLE|x{4}|\*{3}|\.{3}|your[-_ ]|change[-_]?me|placeholder|dummy|secrets?[:/]).*"
    r"|true|false|none|null|disabled|enabled|required|optional|password|(?:https?|s3|arn|file):[^@]*",
    re.IGNORECASE | re.DOTALL,
)
_AWS_KEY = re.compile(rb"(?<![A-Z0-9])(?:AKIA|ASIA)[A-Z0-9]{16}(?![A-Z0-9])")
_AWS_SECRET = re.compile(rb"(?<![A-Za-z0-9/+=_-])[A-Za-z0-9/+]{40}(?![A-Za-z0-9/+=_-])")
_NEAR = 300  # characters between an access key id and its secret key
_USERINFO = re.compile(rb"\b[a-z][a-z0-9+.-]{0,20}://[^\s/:@\"'<>]*:([^\s/@\"'<>]+)@", re.IGNORECASE)
_AUTH_LINE = {  # file name -> what holds a credential in it
    ".netrc": re.compile(rb"\bpassword\s+(\S+)"),
    ".pypirc": re.compile(rb"^\s*password\s*[:=]\s*(\S+)", re.MULTILINE),
    ".npmrc": re.compile(rb"_(?:authToken|auth|password)\s*=\s*(\S+)"),
    "credentials": re.compile(rb"aws_(?:secret_access_key|session_token)\s*=\s*(\S+)", re.IGNORECASE),
    "config.json": re.compile(rb"\"auth\"\s*:\s*\"([A-Za-z0-9+/=]{8,})\""),
}
_CONFIGURATION = re.compile(
    r"pip\.conf|pip\.ini|\.?git-?credentials|\.gitconfig|\.condarc|\.netrc|\.pypirc|\.npmrc|.*\.env|\.env.*|uv\.toml|"
    r"requirements.*|auth\.conf|.*\.list|.*\.sources|Dockerfile.*|.*\.(?:ini|cfg|toml|ya?ml)"
)
_ENV_FILE = re.compile(r"\.env(?!.*(?:example|sample|template|dist)).*|.*\.env|Dockerfile")
# What it is, something that it has in small letters, quick to look for, and all of it.
_SHAPES = (
    (
        "a private key",
        b"private key",
        re.compile(
            rb"-----BEGIN (?:[A-Z]+ )*PRIVATE KEY(?: BLOCK)?-----"
            rb"(?:\\[rn]|\s|[A-Za-z-]+: [^\n]*\n)*([A-Za-z0-9+/=]{40})"
        ),
    ),
    (
        "an AWS secret access key",
        b"secret",
        re.compile(
            rb"aws_?secret_?(?:access_?)?key[\"']?\s*[:=]\s*[\"']?([A-Za-z0-9/+]{40})(?![A-Za-z0-9/+])",
            re.IGNORECASE,
        ),
    ),
    ("a GitHub token", b"gh", re.compile(rb"\b(gh[pousr]_[A-Za-z0-9]{36})")),
    ("a GitHub token", b"github_pat_", re.compile(rb"\b(github_pat_[A-Za-z0-9_]{50,})")),
    ("a GitLab token", b"glpat-", re.compile(rb"\b(glpat-[A-Za-z0-9_-]{20,})")),
    ("a Hugging Face token", b"hf_", re.compile(rb"\b(hf_[A-Za-z0-9]{30,})\b")),
    ("an API key", b"sk-", re.compile(rb"(?<![\w-])(sk-(?=[\w-]*\d)(?=[\w-]*[A-Z])[\w-]{32,})")),
    ("a Slack token", b"xox", re.compile(rb"\b(xox[abprs]-(?=[A-Za-z-]*\d)[A-Za-z0-9-]{10,})")),
    ("a Google API key", b"aiza", re.compile(rb"\b(AIza[A-Za-z0-9_-]{35})")),
    ("a PyPI token", b"pypi-age", re.compile(rb"\b(pypi-AgE[A-Za-z0-9_-]{50,})")),
)


@dataclass(frozen=True)
class Secret:
    """Where a credential is, what it is, and how it begins."""

    where: str
    kind: str
    begin: str

    def __str__(self) -> str:
        """One line, without the secret."""
        return f"{self.where}: {self.kind}" + (f", {self.begin}..." if self.begin else "")


def secrets_in_variables(variables: Mapping[str, str], where: str) -> Iterator[Secret]:
    """Yield the credentials among variables: by their names, and by their values."""
    for name, value in variables.items():
        if _SECRET_NAME.fullmatch(name) and is_secret(value):
            yield Secret(f"{where} {name}", "a secret by its name", _begin(value))
        else:
            yield from secrets_in(f"{name}={value}".encode(), f"{where} {name}", "Dockerfile", 0)


def secrets_in(content: bytes, where: str, path: str, number: int | None = None) -> Iterator[Secret]:
    """Yield the credentials in a text.

    Args:
        path: of the file that it is; its name says what may stand there.
        number: of the text in a list of such; None: lines are counted, 0: it is one line.
    """
    if b"\0" in content[:1024]:
        return
    for kind, at, secret in _spots(content, PurePosixPath(path)):
        if is_secret(secret):
            line = content.count(b"\n", 0, at) + 1 if number is None else number
            of_line = f" line {line}" if number is None else f" {line}" if number else ""
            yield Secret(f"{where}{of_line}", kind, "" if kind == "a private key" else _begin(secret))


def is_secret(value: str) -> bool:
    """Whether a value is not one that only stands for a secret, such as those of AWS's documentation."""
    value = value.strip("\"'")
    return len(value) >= _SHORTEST and _PLACEHOLDER.fullmatch(value) is None


def _spots(content: bytes, path: PurePosixPath) -> Iterator[tuple[str, int, str]]:
    """Yield the kind, the place and the text of what looks like a credential."""
    lower = content.lower()
    for kind, sign, shape in _SHAPES:
        for found in shape.finditer(content) if sign in lower else ():
            yield kind, found.start(), _text(found[1])
    for found in _AWS_KEY.finditer(content) if b"AKIA" in content or b"ASIA" in content else ():
        near = content[max(0, found.start() - _NEAR) : found.end() + _NEAR]
        secret = next((one[0] for one in _AWS_SECRET.finditer(near) if not _is_digest(one[0])), None)
        if secret and is_secret(_text(secret)):
            yield "an AWS access key id with its secret key", found.start(), _text(found[0])
    patterns = [("a password in a URL", _USERINFO)] if _CONFIGURATION.fullmatch(path.name) else []
    if path.name in _AUTH_LINE and (path.name != "config.json" or path.parent.name == ".docker"):
        patterns.append((f"a password of {path.name}", _AUTH_LINE[path.name]))
    for kind, pattern in patterns:
        for found in pattern.finditer(content):
            yield kind, found.start(), _text(found[1])
    if _ENV_FILE.fullmatch(path.name):
        for found in _ASSIGNMENT.finditer(content):
            yield f"{_text(found[1])}, a secret by its name", found.start(), _text(found[2]).strip("\"'")


def _is_digest(text: bytes) -> bool:
    """Whether a text is but the hexadecimal digest of something."""
    return re.fullmatch(rb"[0-9a-f]*|[0-9A-F]*", text) is not None


def _begin(secret: str) -> str:
    """Return as much of a secret as tells which it is: nothing of a short one."""
    return secret[:_SHOWN] if len(secret) >= 4 * _SHOWN else ""


def _text(content: bytes) -> str:
    return content.decode(errors="replace")
