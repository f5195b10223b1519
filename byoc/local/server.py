"""The process of the local SageMaker: `python -m byoc.local.server`, as byoc.local.launch starts it."""

import argparse
import errno
import logging
import os
import signal
import socket
import sqlite3
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from byoc.local import holding, instance
from byoc.local.images import Sources
from byoc.local.instance import ACCOUNT, LOOPBACK, REGION, Instance, LocalError, port_option
from byoc.local.programs import Programs, named_program
from byoc.local.registry import checked_registry
from byoc.runtime import opt_ml

_log = logging.getLogger("byoc.local")
_FORMAT = "%(asctime)s %(levelname)s %(name)s: %(message)s"


@dataclass(frozen=True)
class Settings:
    """What one local SageMaker is started with.

    Attributes:
        folder: private to the instance: its state file, log and the configuration of its clients.
        data: what survives a restart; None for a temporary folder.
        port: 0 for a free one.
        programs: what is named now, beside what `data` has kept.
        checkout: the program of the checkout that it was started in.
        foreground: whether to log to stderr too.
        throwaway: whether to remove `folder` at the end, as its parent may not live to do it.
    """

    folder: Path
    data: Path | None
    port: int
    programs: Mapping[str, Path]
    checkout: Path | None
    registry: str | None
    region: str = REGION
    account: str = ACCOUNT
    foreground: bool = False
    throwaway: bool = False


def main(arguments: Sequence[str] | None = None) -> int:
    """Serve until SIGTERM or SIGINT; a reason not to start is one line on stderr and status 1."""
    # Until the web server listens for it: what is temporary goes, as at any other end.
    signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))
    try:
        run(parse(arguments))
    except LocalError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


def parse(arguments: Sequence[str] | None) -> Settings:
    """Return what the command line says; see byoc.local.launch, which writes it.

    Raises:
        LocalError: a value is not what it should be.
    """
    parser = argparse.ArgumentParser(prog="python -m byoc.local.server", description=__doc__)
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--data", type=Path)
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--program", action="append", default=[])
    parser.add_argument("--checkout", type=Path)
    parser.add_argument("--registry")
    parser.add_argument("--region", default=REGION)
    parser.add_argument("--foreground", action="store_true")
    parser.add_argument("--throwaway", action="store_true")
    asked = parser.parse_args(arguments)
    try:
        registry = checked_registry(asked.registry) if asked.registry else None
    except ValueError as error:
        raise LocalError(str(error)) from None
    return Settings(
        folder=asked.folder,
        data=asked.data,
        port=asked.port,
        programs=dict(named_program(given) for given in asked.program),
        checkout=asked.checkout,
        registry=registry,
        region=asked.region,
        foreground=asked.foreground,
        throwaway=asked.throwaway,
    )


def run(settings: Settings) -> None:
    """Serve until a signal; every program has ended and what is temporary is gone when it returns.

    Raises:
        LocalError: the port is taken, or the data folder or the instance's own in use.
    """
    with ExitStack() as held:
        held.enter_context(_own_folder(settings.folder, settings.foreground))
        listener = held.enter_context(_listening(settings.port))
        data = held.enter_context(_data_folder(settings.data))
        facts = _facts(settings, data, listener.getsockname()[1])
        _log_to(facts.log, settings.foreground)
        _serve(settings, facts, listener)


def _serve(settings: Settings, facts: Instance, listener: socket.socket) -> None:
    # What takes time to import comes behind everything that can be refused at once.
    from byoc.local.asgi import asgi_app
    from byoc.local.house import House
    from byoc.local.web import Web

    def ready() -> None:
        facts.write()
        if not settings.foreground:
            _leave_the_terminal(facts.log)
        _log.info("the local SageMaker is ready at %s", facts.url)
        house.open()

    def listen(more: socket.socket) -> None:
        web.listen(more)

    def forget(more: socket.socket) -> None:
        web.forget(more)

    programs = Programs(Path(facts.data))
    sources = Sources(programs, settings.registry, _remedy(settings, facts.port))
    try:
        programs.remember(settings.programs, settings.checkout)
        house = House(facts, sources, listen, forget)
    except (OSError, sqlite3.DatabaseError) as error:
        raise LocalError(
            f"What is kept in {facts.data} cannot be used: {error}. Mend it, or give another --data."
        ) from error
    for line in programs.gone():
        _log.warning(line)
    web = Web(asgi_app(house.answer), ready)
    try:
        web.serve_until_told(listener)
    finally:
        instance.forget_instance(Path(facts.folder))
        house.close()
        _log.info("the local SageMaker has ended")
        if settings.throwaway:
            opt_ml.remove(settings.folder)


def _remedy(settings: Settings, port: int) -> str:
    """Return how another program is named while this instance runs."""
    if settings.throwaway:
        return "Name a folder for it: add_program('NAME', DIR)."
    return f"Name a folder for it: byoc local add NAME=DIR{port_option(port)}"


@contextmanager
def _own_folder(folder: Path, foreground: bool) -> Iterator[None]:
    """Hold the private folder of this instance; what one that does not come up wrote there goes again.

    At an ordinary end the log goes, which is of no use then, and so it tells of all other ends. The rest is
    left to who ends us, who hears by the lock that this process has ended; in the foreground that is nobody.
    """
    instance.private_folder(folder)
    try:
        holding.hold(folder)
    except BlockingIOError:
        raise LocalError(
            f"Another local SageMaker has {folder}; it runs, or is starting. End it, or give another --port."
        ) from None
    instance.forget_instance(folder)
    before = set(folder.iterdir())
    try:
        yield
    except (LocalError, SystemExit):
        holding.discard(folder, before)
        raise
    instance.log_of(folder).unlink(missing_ok=True)
    if foreground:
        holding.discard(folder, set())


def _facts(settings: Settings, data: Path, port: int) -> Instance:
    from byoc.local.iam import role_arn

    keys = instance.keys_of(data)
    return Instance(
        url=f"http://{LOOPBACK}:{port}",
        port=port,
        region=settings.region,
        account=settings.account,
        access_key=keys.access_key,
        secret_key=keys.secret_key,
        pid=os.getpid(),
        data=str(data),
        temporary=settings.data is None,
        folder=str(settings.folder),
        role_arn=role_arn(settings.account),
        bucket=instance.default_bucket(settings.region, settings.account),
    )


@contextmanager
def _data_folder(given: Path | None) -> Iterator[Path]:
    """Yield the folder with all that is kept; a temporary one is removed afterwards."""
    if given is None:
        made = Path(tempfile.mkdtemp(prefix="byoc-local-"))
        try:
            yield made
        finally:
            opt_ml.remove(made)
        return
    try:
        given.mkdir(mode=0o700, parents=True, exist_ok=True)
        holding.hold(given)
    except BlockingIOError:
        raise LocalError(
            f"Another local SageMaker uses the data in {given}. End it, or give another."
        ) from None
    except OSError as error:
        raise LocalError(f"--data {given} cannot be used: {error.strerror}. Give another folder.") from error
    yield given.resolve()


@contextmanager
def _listening(port: int) -> Iterator[socket.socket]:
    try:
        listener = socket.create_server((LOOPBACK, port), backlog=2048)
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            raise LocalError(f"Port {port} of {LOOPBACK} is taken. Give another one with --port.") from None
        raise LocalError(f"Port {port} of {LOOPBACK} cannot be used: {error.strerror}.") from error
    with listener:
        yield listener


def _log_to(file: Path, foreground: bool) -> None:
    handlers: list[logging.Handler] = [logging.FileHandler(file, "w")]
    if foreground:
        handlers.append(logging.StreamHandler())
    file.chmod(0o600)
    logging.basicConfig(level=logging.INFO, format=_FORMAT, handlers=handlers)
    # Each would write a line for each request, some with its headers.
    for chatty in ("botocore", "moto", "urllib3", "werkzeug", "uvicorn"):
        logging.getLogger(chatty).setLevel(logging.WARNING)


def _leave_the_terminal(log: Path) -> None:
    """Send stdout and stderr to the log: whoever reads them learns by their end that we are ready."""
    with log.open("ab") as opened:
        for stream in (1, 2):
            os.dup2(opened.fileno(), stream)


if __name__ == "__main__":
    sys.exit(main())
