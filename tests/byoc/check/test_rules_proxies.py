"""What nginx and gunicorn allow is told from their words and files, and never guessed."""

import os

import pytest

from byoc.check.lab import Lab
from byoc.check.question import Question
from byoc.check.rules.proxies import of_gunicorn, of_nginx, proxy_limits, with_arguments
from byoc.check.serving import Server
from byoc.check.verdict import Outcome
from byoc.check.waiting import NotServingError
from byoc.runtime.images import Folder
from byoc.runtime.procfs import Running


@pytest.mark.parametrize(
    ("words", "configuration", "seen", "is_enough"),
    [
        ("gunicorn wsgi:app", "", "gunicorn is given no --timeout, which is 30 s then", False),
        ("gunicorn --timeout 20 wsgi:app", "", "gunicorn's timeout is 20 s", False),
        ("gunicorn --timeout=65 wsgi:app", "", "gunicorn's timeout is 65 s", True),
        ("gunicorn -t 0 wsgi:app", "", "gunicorn's timeout is 0 s", True),
        ("gunicorn -t120 wsgi:app", "", "gunicorn's timeout is 120 s", True),
        ("gunicorn wsgi:app", "workers = 2\ntimeout = 90  # s\n", "gunicorn's timeout is 90 s", True),
        ("gunicorn -c g.py wsgi:app", "timeout = int(x)\n", "gunicorn's timeout is computed", None),
        ("gunicorn -c python:g wsgi:app", None, "gunicorn's timeout is computed", None),
    ],
)
def test_gunicorns_timeout_is_read_from_its_words_or_its_file(words, configuration, seen, is_enough):
    found = of_gunicorn(words.split(), configuration)
    assert (found.seen, found.is_enough) == (seen, is_enough)


@pytest.mark.parametrize(
    ("words", "configuration"),
    [
        ("gunicorn -k uvicorn.workers.UvicornWorker a:b", ""),
        ("gunicorn --threads 4 a:b", ""),
        ("gunicorn a:b", 'worker_class = "gthread"\n'),
    ],
)
def test_a_timeout_that_no_call_meets_is_none(words, configuration):
    assert of_gunicorn(words.split(), configuration) is None


def test_each_of_nginx_limits_is_held_against_sagemakers():
    text = "http { server { client_max_body_size 5m; location / { proxy_pass http://a; } } }"
    assert [(one.seen, one.is_enough) for one in of_nginx("nginx.conf", text)] == [
        ("nginx.conf has client_max_body_size 5m", False),
        ("nginx.conf has no proxy_read_timeout, which is 60s then", False),
    ]
    wide = text.replace("5m", "25m; proxy_read_timeout 90s")
    assert [one.is_enough for one in of_nginx("nginx.conf", wide)] == [True, True]


def test_gunicorns_variable_counts_where_its_command_line_says_nothing():
    environment = {"GUNICORN_CMD_ARGS": "--timeout 90 --threads=4"}
    assert of_gunicorn(with_arguments(["gunicorn", "a:b"], environment), "") is None
    words = with_arguments(["gunicorn", "--threads", "1", "-t", "20", "a:b"], environment)
    assert of_gunicorn(words, "").seen == "gunicorn's timeout is 20 s"


NGINX = "nginx: master process nginx -c /n/nginx.conf"


@pytest.mark.parametrize(
    ("words", "included", "outcome", "seen"),
    [
        ((NGINX,), "server { location / { proxy_pass http://a; } }", Outcome.WARN, "which is 1m then"),
        (
            (NGINX,),
            "# server { location / { proxy_pass http://a; } }",
            Outcome.UNTESTED,
            "is not seen to pass",
        ),
        (("gunicorn: master [app]",), "", Outcome.UNTESTED, "its command line"),
        (("python", "serve"), "", Outcome.PASS, "No limit of nginx or gunicorn"),
    ],
)
def test_what_runs_is_judged_with_what_it_includes_and_never_passed_unread(
    monkeypatch, tmp_path, words, included, outcome, seen
):
    (tmp_path / "conf.d").mkdir()
    (tmp_path / "nginx.conf").write_text("http { include conf.d/*.conf; }")
    (tmp_path / "app").write_text(included)
    (tmp_path / "conf.d" / "app.conf").symlink_to(tmp_path / "app")
    words = tuple(word.replace("/n/", f"{tmp_path}/") for word in words)
    monkeypatch.setattr(Lab, "server", lambda _lab: Server(lambda: None))
    name = "nginx" if "nginx" in words[0] else "python"
    monkeypatch.setattr(Server, "processes", lambda _server: [Running(os.getpid(), 1, name, words, 0.0)])
    found = proxy_limits(Lab(Question(Folder(tmp_path)), tmp_path))
    assert found.outcome is outcome, found.seen
    assert seen in found.seen


def test_a_file_of_an_image_is_judged_where_it_is_included(monkeypatch, tmp_path):
    def never(_lab):
        raise NotServingError("no")

    monkeypatch.setattr(Lab, "server", never)
    (tmp_path / "nginx.conf").write_text(
        "http { client_max_body_size 25m; proxy_read_timeout 90s; include app.conf; }"
    )
    (tmp_path / "app.conf").write_text("server { location / { proxy_pass http://a; } }")
    found = proxy_limits(Lab(Question(Folder(tmp_path)), tmp_path))
    assert found.outcome is Outcome.PASS, found.seen
    assert "app.conf" not in found.seen


def test_what_was_not_seen_running_is_judged_by_its_files_alone_and_says_so(monkeypatch, tmp_path):
    def never(_lab):
        raise NotServingError("no")

    monkeypatch.setattr(Lab, "server", never)
    (tmp_path / "nginx.conf").write_text(
        "http { server { client_max_body_size 25m; proxy_read_timeout 90s; "
        "location / { proxy_pass http://a; } } }"
    )
    lab = Lab(Question(Folder(tmp_path)), tmp_path)
    found = proxy_limits(lab)
    assert found.outcome is Outcome.PASS
    assert found.seen.startswith("By its files alone, as it was not seen running: ")
    (tmp_path / "nginx.conf").unlink()
    with pytest.raises(NotServingError):
        proxy_limits(Lab(Question(Folder(tmp_path)), tmp_path))
