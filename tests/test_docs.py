"""The documents: every setting, file, target and option that they name exists, and the reverse."""

import re
import subprocess
from fnmatch import fnmatch
from pathlib import Path

import pytest

from byoc.check import table as check_table
from byoc.cli import byoc
from byoc.local.coverage import table

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()
DOCUMENTS = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]


def test_the_table_of_settings_lists_exactly_the_variables_that_the_image_reads():
    settings = (ROOT / "container/custom_algorithm/byoc_serving/settings.py").read_text()
    read = set(re.findall(r'"((?:SAGEMAKER|MODEL)_[A-Z0-9_]+)"', settings))
    section = (ROOT / "docs/serving.md").read_text().partition("## Settings")[2]
    table = "\n".join(line.split("|")[1] for line in section.splitlines() if line.startswith("| `"))
    assert set(re.findall(r"`((?:SAGEMAKER|MODEL)_[A-Z0-9_]+)`", table)) == read


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_every_link_to_a_file_leads_somewhere(document):
    for target in re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", document.read_text()):
        assert "://" in target or (document.parent / target).exists(), target


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_every_make_target_that_is_named_exists(document):
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    named = re.findall(r"(?:^|`)make ([a-z-]+(?: [a-z-]+)*)", document.read_text(), re.MULTILINE)
    assert {word for words in named for word in words.split()} <= targets


def test_every_file_of_the_readmes_tree_exists():
    folders = {0: ROOT, 2: ROOT / "container", 4: ROOT / "container/custom_algorithm"}
    for line in README.split("## The tree")[1].split("```")[1].strip().splitlines():
        folder = folders[len(line) - len(line.lstrip())]
        names = line.strip().split("   ")[0]
        assert all((folder / name).exists() for name in names.split()), line


def test_every_program_and_option_of_the_readmes_commands_exists():
    commands = "\n".join(re.findall(r"```sh\n(.*?)```", README, re.DOTALL)).replace("\\\n", " ")
    for program, rest in re.findall(
        r"^(?:python )?((?:container|dummy_data)/\S+)(.*)$", commands, re.MULTILINE
    ):
        text = (ROOT / program).read_text()
        assert all(option in text for option in re.findall(r"--[a-z-]+", rest.partition(" | ")[0])), program


def test_every_make_target_and_every_verb_of_byoc_is_documented():
    told = "\n".join((ROOT / name).read_text() for name in ("README.md", "CONTRIBUTING.md"))
    targets = set(re.findall(r"^([a-z-]+):.*## ", (ROOT / "Makefile").read_text(), re.MULTILINE))
    named = {
        word
        for words in re.findall(r"(?:^|`)make ([a-z-]+(?: [a-z-]+)*)", told, re.MULTILINE)
        for word in words.split()
    }
    assert targets <= named
    assert {verb for verb in byoc.commands if not re.search(rf"byoc {verb}\b", told)} == set()


def files_of_the_project():
    """Return what git tracks; without git, or outside a checkout, what is not made by a program."""
    try:
        told = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True)
        files = [ROOT / name for name in told.stdout.split("\0") if name]
    except (OSError, subprocess.CalledProcessError):
        kept_out = set((ROOT / ".gitignore").read_text().replace("/", "").split()) | {".git"}
        files = [
            file
            for file in ROOT.rglob("*")
            if not any(fnmatch(part, name) for part in file.relative_to(ROOT).parts for name in kept_out)
        ]
    return [file for file in files if file.is_file()]


def test_no_document_or_program_names_a_machine_path():
    folder = re.compile(r"(?<![\w.})$])/(work|farm|home|Users|root)/")
    assert [file for file in files_of_the_project() if folder.search(file.read_text(errors="ignore"))] == []


def test_without_git_the_same_files_are_looked_at(monkeypatch):
    with_git = set(files_of_the_project())
    monkeypatch.setenv("PATH", "")
    assert with_git <= set(files_of_the_project())


def test_the_tables_of_rules_are_what_the_code_has():
    told = (ROOT / "docs" / "check.md").read_text()
    assert told.split("<!-- rules -->\n")[1].split("<!-- /rules -->")[0] == check_table.table() + "\n"


def test_the_table_of_operations_is_what_the_code_has():
    told = (ROOT / "docs/local.md").read_text()
    assert told.split("<!-- operations -->\n")[1].split("<!-- /operations -->")[0] == table() + "\n"
