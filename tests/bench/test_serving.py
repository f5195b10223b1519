import json
import signal

import pytest

from bench import serving
from bench.contest.document import BEGIN, END
from bench.contest.results import Results


@pytest.fixture(autouse=True)
def _signals():
    before = signal.getsignal(signal.SIGTERM)
    yield
    signal.signal(signal.SIGTERM, before)


@pytest.fixture
def told(tmp_path):
    """A file of results, and a document with a place for them."""
    made = Results()
    made.about = {
        "taken": "2026-11-21",
        "cores": 2,
        "processor": "some processor",
        "python": "3.11.7",
        "repeats": 3,
        "seconds": 2,
        "sections": ["idle"],
        "servers": [],
    }
    made.add("ours", "idle.percent", 0.25)
    file, document = tmp_path / "results.json", tmp_path / "performance.md"
    file.write_text(json.dumps(made.as_json()))
    document.write_text(f"# Words\n\n{BEGIN}{END}\n")
    return file, document


def test_the_document_is_written_from_the_last_run_with_its_picture(told):
    file, document = told
    assert serving.main(["--document", str(document), "--json", str(file)]) == 0
    text = document.read_text()
    assert "| processor time without requests | ≤ 1 % of a core | 0.25 % | holds |" in text
    assert "](performance.svg)" in text
    assert document.with_suffix(".svg").read_text().startswith("<svg ")


def test_a_document_needs_a_run(told, capsys):
    file, document = told
    file.unlink()
    assert serving.main(["--document", str(document), "--json", str(file)]) == 2
    assert "Measure first" in capsys.readouterr().err


def test_nothing_is_measured_without_the_load_generator(monkeypatch, capsys):
    monkeypatch.setenv("PATH", "")
    assert serving.main([]) == 2
    assert "apt-get install wrk" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("outcomes", "status"), [([0.25], 0), ([1.5], 1), ([], 1)], ids=["holds", "falls short", "not measured"]
)
def test_the_status_says_whether_every_promise_holds(tmp_path, monkeypatch, capsys, outcomes, status):
    def idle(run):
        for value in outcomes:
            run.results.add("ours", "idle.percent", value)

    monkeypatch.setitem(serving.SECTIONS, "idle", idle)
    monkeypatch.setattr(serving, "require_programs", lambda: None)
    monkeypatch.setattr(serving, "train", lambda _: None)
    files = ["--json", str(tmp_path / "r.json"), "--svg", str(tmp_path / "r.svg")]
    assert serving.main(["--sections", "idle", *files, "--markdown", str(tmp_path / "r.md")]) == status
    assert (tmp_path / "r.md").read_text() == capsys.readouterr().out
    assert len(json.loads((tmp_path / "r.json").read_text())["verdicts"]) == 1
