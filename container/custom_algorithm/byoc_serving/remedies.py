"""What a message adds to a failure of code that is not ours: what the image lacks, what a folder holds."""

from pathlib import Path


def remedy_of(error: BaseException) -> str:
    """Say what to do about what the image lacks; nothing where it lacks nothing."""
    if isinstance(error, ModuleNotFoundError):
        return ". Name its package in apps/requirements.txt"
    if isinstance(error, (ImportError, OSError)) and ".so" in str(error):
        return ". Name the Debian package that has this library in apps/apt.txt, such as libgomp1"
    return ""


def listing(model_dir: Path, most: int = 10) -> str:
    """Name the files of a model directory with their sizes, for the error of a model that does not load."""
    if not model_dir.is_dir():
        return "nothing: there is no such directory"
    files = sorted(file for file in model_dir.rglob("*") if file.is_file())
    if not files:
        return "no file"
    named = [f"{file.relative_to(model_dir)} ({file.stat().st_size} bytes)" for file in files[:most]]
    more = f" and {len(files) - most} more" if len(files) > most else ""
    return ", ".join(named) + more
