"""A docker command that knows one image, for rules that look at what the engine says."""

import io
import json
import sys
import tarfile

COMMAND = f"""#!{sys.executable}
import json, pathlib, sys
here = pathlib.Path(__file__).parent
with (here / "asked").open("a") as asked:
    asked.write(json.dumps(sys.argv[1:]) + "\\n")
verb = sys.argv[1]
answers = {{"export": "export.tar", "create": "create", "history": "history", "rm": "rm"}}
said = here / answers.get(verb, "-".join(sys.argv[1:3]))
if not said.is_file():
    sys.exit("no such thing" if verb != "rm" else 0)
sys.stdout.buffer.write(said.read_bytes())
"""


def stand_in(folder, monkeypatch, inspect=None, history=(), files=(), manifest=None):
    """Put the command on PATH; `files` are TarInfo with their content."""
    folder.mkdir()
    (folder / "docker").write_text(COMMAND)
    (folder / "docker").chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:/usr/bin:/bin")
    (folder / "create").write_text("0123\n")
    (folder / "image-inspect").write_text(json.dumps([inspect or {}]))
    (folder / "history").write_text("".join(f"{line}\n" for line in history))
    if manifest is not None:
        (folder / "manifest-inspect").write_text(json.dumps(manifest))
    with tarfile.open(folder / "export.tar", "w") as archive:
        for info, content in files:
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))


def asked(folder):
    return [json.loads(line) for line in (folder / "asked").read_text().splitlines()]


def member(name, mode=0o644, kind=tarfile.REGTYPE, link=""):
    info = tarfile.TarInfo(name)
    info.mode, info.type, info.linkname = mode, kind, link
    return info
