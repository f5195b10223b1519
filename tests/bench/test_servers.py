import pytest

from bench.contest.environments import PROGRAMS, digest_of, installing, requirements_of
from bench.contest.running import complaint
from bench.contest.servers import OURS, SERVERS, SHORT

PLACES = dict.fromkeys(("python", "programs", "program", "image", "subject", "work", "port", "workers"), "x")


@pytest.mark.parametrize("server", SERVERS, ids=lambda server: server.name)
def test_every_server_has_its_program_and_requirements(server):
    folder = PROGRAMS / server.program
    assert all(file.is_file() for file in requirements_of(server.program))
    assert (folder / "prepare.py").is_file() == (server.prepared is not None)
    for word in (*server.command, *server.variables.values(), *(server.prepared or ())):
        assert "{" not in word.format(**PLACES)


def test_names_are_unique_and_the_short_mode_is_a_part_of_the_whole():
    assert len({server.name for server in SERVERS}) == len(SERVERS)
    assert {server.name for server in SHORT} < {server.name for server in SERVERS}


def test_only_the_example_as_shipped_and_ours_decide_their_threads_themselves():
    unbound = {server.name for server in SERVERS if "OMP_NUM_THREADS" not in server.variables}
    assert unbound == {OURS.name, "example"}


def test_ours_has_what_the_image_has(tmp_path):
    assert [file.parent.name for file in requirements_of("ours")] == ["byoc_serving", "ours"]


def test_an_environment_is_another_when_its_requirements_are(tmp_path):
    file = tmp_path / "requirements.txt"
    file.write_text("numpy\n")
    before = digest_of([file])
    assert digest_of([file]) == before
    file.write_text("numpy>=2\n")
    assert digest_of([file]) != before


def test_uv_makes_environments_where_it_is_installed_and_pip_elsewhere(tmp_path):
    files = [tmp_path / "a.txt", tmp_path / "b.txt"]
    by_uv, by_pip = installing(tmp_path, files, "/bin/uv"), installing(tmp_path, files, None)
    assert {command[0] for command in by_uv} == {"/bin/uv"}
    assert all("/bin/uv" not in command for command in by_pip)
    for commands in (by_uv, by_pip):
        assert all(str(file) in commands[-1] for file in files)


def test_the_complaint_of_a_log_is_its_last_error():
    lines = ["starting", "ModuleNotFoundError: No module named 'packaging'", "INFO shutting down", ""]
    assert complaint(lines) == "ModuleNotFoundError: No module named 'packaging'"
    assert complaint(["starting", "bye"]) == "bye"
    assert complaint([]) == ""
