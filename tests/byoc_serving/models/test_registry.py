"""Which models are loaded: one file each, whole or not there, and listed page by page."""

import os
import threading

import pytest

from byoc_serving.errors import BadRequestError
from byoc_serving.models.registry import Entry, Registry, page_of

NAMES = ["a", "a/b", "a%2Fb", "ü ✓", "..", "x" * 1000]


@pytest.fixture
def registry(tmp_path):
    return Registry(tmp_path / "models")


def add(registry, name, url="/opt/ml/models/x/model"):
    with registry.adding(name, url) as entry:
        pass
    return entry


def test_any_text_may_be_a_name(registry):
    added = {name: add(registry, name) for name in NAMES}
    assert {name: registry.find(name) for name in NAMES} == added
    assert [entry.name for entry in registry.entries()] == sorted(NAMES)
    assert registry.remove("a/b")
    assert not registry.remove("a/b")
    assert registry.find("a/b") is None


def test_a_name_that_is_loaded_anew_has_another_stamp(registry):
    first = add(registry, "a").stamp
    assert registry.stamp("a") == first
    assert registry.remove("a")
    assert registry.stamp("a") is None
    assert add(registry, "a").stamp != first


def test_a_model_that_fails_to_load_is_never_there(registry):
    with pytest.raises(ValueError, match="garbage"), registry.adding("a", "/x"):
        raise ValueError("garbage")
    assert registry.entries() == []


def test_a_locked_name_keeps_others_waiting_and_no_other_name(registry):
    entered = threading.Event()

    def enter():
        with registry.locked("a"):
            entered.set()

    thread = threading.Thread(target=enter)
    with registry.locked("a"), registry.locked("b"):
        thread.start()
        assert not entered.wait(0.1)
    thread.join(10)
    assert entered.is_set()


def test_a_process_that_was_forked_under_a_lock_does_not_keep_it(registry):
    until, end = os.pipe()
    with registry.locked("a"):
        child = os.fork()
        if child == 0:
            os.close(end)
            os.read(until, 1)
            os._exit(0)
    entered = threading.Event()

    def enter():
        with registry.locked("a"):
            entered.set()

    thread = threading.Thread(target=enter)
    thread.start()
    try:
        assert entered.wait(10)
    finally:
        os.close(end)
        os.waitpid(child, 0)
        os.close(until)
        thread.join()


def test_pages_hold_each_model_once_though_others_come_and_go():
    entries = [Entry(name, "/x", (0, 0)) for name in sorted(["a", "b", "c", "d", "ü"])]
    first, token = page_of(entries, None, most=2)
    second, token = page_of(entries[1:], token, most=2)
    third, end = page_of(entries, token, most=2)
    assert [entry.name for entry in (*first, *second, *third)] == ["a", "b", "c", "d", "ü"]
    assert end is None


def test_a_token_that_is_none_of_ours_is_refused():
    with pytest.raises(BadRequestError, match="next_page_token is '100'"):
        page_of([], "100")
