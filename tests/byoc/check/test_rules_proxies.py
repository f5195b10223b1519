"""What nginx and gunicorn allow is told from their words and files, and never guessed."""

import pytest

from byoc.check.lab import Lab
from byoc.check.question import Question
from byoc.check.rules.proxies import of_gunicorn, of_nginx, proxy_limits
from byoc.check.verdict import Outcome
from byoc.check.waiting import NotServingError
from byoc.runtime.images import Folder


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
