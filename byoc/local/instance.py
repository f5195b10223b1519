"""One local SageMaker as everybody else sees it: its address, its keys, and the files that tell of it."""

import json
import os
import secrets
import string
import tempfile
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path

LOOPBACK = "127.0.0.1"
REGION = "us-east-1"
ACCOUNT = "123456789012"
# In no list of well-known ports, and beside LocalStack's 4566, so that both can run.
PORT = 4577

_STATE = "instance.json"
_KEYS = "keys.json"
_KEY_ALPHABET = string.ascii_uppercase + "234567"
# Variables that would send a client elsewhere, or in another name; unset even where they are not set now.
_ALWAYS_UNSET = ("AWS_DEFAULT_PROFILE", "AWS_PROFILE", "AWS_SECURITY_TOKEN", "AWS_SESSION_TOKEN")
# Variables that lead nowhere else.
_KEPT = ("AWS_CA_BUNDLE", "AWS_DEFAULT_OUTPUT", "AWS_PAGER")
_SDK_CONFIG = """SchemaVersion: '1.0'
SageMaker:
  PythonSDK:
    Modules:
      TelemetryOptOut: true
      Session:
        DefaultS3Bucket: {bucket}
"""
_AWS_CONFIG = "[default]\nregion = {region}\nendpoint_url = {url}\n"
_AWS_CREDENTIALS = "[default]\naws_access_key_id = {access_key}\naws_secret_access_key = {secret_key}\n"


class LocalError(Exception):
    """A local SageMaker cannot be started, found or ended; the message is one line fit for the user."""


@dataclass(frozen=True)
class Keys:
    """The credentials of one instance."""

    access_key: str
    secret_key: str = field(repr=False)


@dataclass(frozen=True)
class Instance:
    """A running local SageMaker.

    Attributes:
        data: the folder with all that it keeps.
        temporary: whether that folder goes when it ends.
        folder: its private folder: state file, log, the configuration files of clients.
    """

    url: str
    port: int
    region: str
    account: str
    access_key: str
    secret_key: str = field(repr=False)
    pid: int
    data: str
    temporary: bool
    folder: str
    role_arn: str
    bucket: str

    @property
    def log(self) -> Path:
        """What the server says."""
        return log_of(Path(self.folder))

    @property
    def started_s(self) -> float:
        """When it was ready, in seconds since 1970; 0 for one that has ended."""
        try:
            return (Path(self.folder) / _STATE).stat().st_mtime
        except FileNotFoundError:
            return 0.0

    def settings(self) -> dict[str, str]:
        """Return what a client's environment has to hold to reach this instance, and nothing else.

        The SageMaker SDK v2 asks STS at its own host unless its configuration names the default bucket,
        and sends telemetry unless it says otherwise.
        """
        folder = Path(self.folder)
        return {
            **program_settings(self.url, self.region, Keys(self.access_key, self.secret_key)),
            "AWS_CONFIG_FILE": str(folder / "aws-config"),
            "AWS_SHARED_CREDENTIALS_FILE": str(folder / "aws-credentials"),
            "SAGEMAKER_ADMIN_CONFIG_OVERRIDE": str(folder / "sagemaker.yaml"),
            "SAGEMAKER_USER_CONFIG_OVERRIDE": str(folder / "sagemaker.yaml"),
            "SAGEMAKER_SUPPRESS_V2_WARNING": "1",
        }

    def environment(self, inherited: Mapping[str, str] | None = None) -> dict[str, str]:
        """Return `inherited` with every AWS setting replaced, so that clients reach this instance alone."""
        given = dict(inherited or {})
        kept = {name: value for name, value in given.items() if not _leads_elsewhere(name)}
        return kept | self.settings() | around_the_proxy(given)

    def unset(self, inherited: Mapping[str, str]) -> list[str]:
        """Return the names of variables that a shell has to forget."""
        theirs = {name for name in inherited if _leads_elsewhere(name)}
        return sorted((theirs | set(_ALWAYS_UNSET)) - set(self.settings()))

    def write(self) -> None:
        """Write the files that tell of it, for its user alone; the state file last, as it says "ready"."""
        folder = Path(self.folder)
        facts = asdict(self)
        for name, text in (
            ("sagemaker.yaml", _SDK_CONFIG),
            ("aws-config", _AWS_CONFIG),
            ("aws-credentials", _AWS_CREDENTIALS),
        ):
            write_private(folder / name, text.format(**facts))
        write_private(folder / _STATE, json.dumps(facts, indent=2) + "\n")


def _leads_elsewhere(name: str) -> bool:
    return name.startswith("AWS_") and name not in _KEPT


def program_settings(url: str, region: str, keys: Keys) -> dict[str, str]:
    """Return the AWS_* variables for a program that sees the instance at `url`."""
    return {
        "AWS_ENDPOINT_URL": url,
        "AWS_ACCESS_KEY_ID": keys.access_key,
        "AWS_SECRET_ACCESS_KEY": keys.secret_key,
        "AWS_REGION": region,
        "AWS_DEFAULT_REGION": region,
        "AWS_EC2_METADATA_DISABLED": "true",
    }


def around_the_proxy(inherited: Mapping[str, str]) -> dict[str, str]:
    """Return NO_PROXY, in both spellings, with loopback added."""
    theirs = inherited.get("NO_PROXY") or inherited.get("no_proxy") or ""
    hosts = [host for host in theirs.split(",") if host]
    no_proxy = ",".join([*hosts, *(host for host in (LOOPBACK, "localhost") if host not in hosts)])
    return {"NO_PROXY": no_proxy, "no_proxy": no_proxy}


def default_bucket(region: str, account: str) -> str:
    """Return the name of the bucket that the SageMaker SDK takes where none is given."""
    return f"sagemaker-{region}-{account}"


def state_root(environ: Mapping[str, str]) -> Path:
    """Return the folder of all instances of this user: in XDG_RUNTIME_DIR, else in the temporary folder."""
    runtime = environ.get("XDG_RUNTIME_DIR")
    if runtime and os.access(runtime, os.W_OK):
        return Path(runtime) / "byoc"
    return Path(tempfile.gettempdir()) / f"byoc-{os.getuid()}"


def state_folder(environ: Mapping[str, str], port: int) -> Path:
    """Return the private folder of the instance on a port."""
    return state_root(environ) / f"local-{port}"


def log_of(folder: Path) -> Path:
    """Return the server's log in an instance's private folder."""
    return folder / "server.log"


def private_folder(folder: Path) -> Path:
    """Make a folder, and what is missing above it, for this user alone, or see that it is so.

    Raises:
        LocalError: it is somebody else's, as it may be under /tmp.
    """
    for missing in [above for above in reversed(folder.parents) if not above.exists()]:
        missing.mkdir(mode=0o700, exist_ok=True)
    folder.mkdir(mode=0o700, exist_ok=True)
    stat = folder.lstat()
    if stat.st_uid != os.getuid() or folder.is_symlink():
        raise LocalError(
            f"{folder} belongs to another user. Set XDG_RUNTIME_DIR or TMPDIR to a folder of yours."
        )
    if stat.st_mode & 0o077:
        folder.chmod(0o700)
    return folder


def write_private(file: Path, text: str) -> None:
    """Replace a file's text atomically; only this user can read it, at no time anybody else."""
    new = file.with_name(f".{file.name}.{os.getpid()}")
    with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as opened:
        opened.write(text)
    new.replace(file)


def read_instance(folder: Path) -> Instance | None:
    """Return what a state file tells, whether or not that instance still runs; None where there is none.

    One that another user wrote would send our clients to him: it counts as none.
    """
    try:
        with (folder / _STATE).open() as file:
            if os.fstat(file.fileno()).st_uid != os.getuid():
                return None
            return Instance(**json.load(file))
    except (OSError, ValueError, TypeError):
        return None


def forget_instance(folder: Path) -> None:
    """Remove a state file. Safe to repeat."""
    (folder / _STATE).unlink(missing_ok=True)


def port_option(port: int) -> str:
    """Return what a command line of `byoc local` says of a port: nothing of the usual one."""
    return "" if port == PORT else f" --port {port}"


def keys_of(data: Path) -> Keys:
    """Return the credentials kept in a data folder; made, at random, the first time.

    Raises:
        LocalError: what is there are no credentials.
    """
    file = data / _KEYS
    if not file.exists():
        access_key = "AKIA" + "".join(secrets.choice(_KEY_ALPHABET) for _ in range(16))
        write_private(file, json.dumps(asdict(Keys(access_key, secrets.token_urlsafe(30)))))
    try:
        return Keys(**json.loads(file.read_text()))
    except (OSError, ValueError, TypeError) as error:
        raise LocalError(f"{file} has no keys: {error}. Remove it, and new ones are made.") from error
