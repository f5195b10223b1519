"""What is kept is kept whole, once by each name, and for its owner alone."""

import threading

import pytest

from byoc.local.sagemaker.store import Store, Taken


@pytest.fixture
def store(tmp_path):
    store = Store(tmp_path / "deep" / "state.sqlite")
    yield store
    store.close()


def test_a_document_is_found_by_kind_and_name_in_any_case(store):
    store.insert("model", "Mine", {"a": [1, None, "ü"]})
    assert store.get("model", "mine") == {"a": [1, None, "ü"]}
    assert store.get("endpoint", "Mine") is None


def test_a_name_is_taken_in_any_case(store):
    store.insert("model", "Mine", {})
    with pytest.raises(Taken):
        store.insert("model", "MINE", {})
    store.insert("endpoint", "Mine", {})


def test_all_of_a_kind_come_by_name(store):
    for name in ("b", "A", "c"):
        store.insert("model", name, {"name": name})
    assert [document["name"] for document in store.all("model")] == ["A", "b", "c"]


def test_a_deleted_document_is_gone(store):
    store.insert("model", "m", {})
    assert store.delete("model", "m")
    assert not store.delete("model", "m")
    assert store.get("model", "m") is None


def test_updates_from_many_threads_all_count(store):
    store.insert("model", "m", {"count": 0})

    def add():
        for _ in range(20):
            store.update("model", "m", lambda document: {"count": document["count"] + 1})

    threads = [threading.Thread(target=add) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert store.get("model", "m") == {"count": 80}


def test_a_change_that_raises_changes_nothing(store):
    store.insert("model", "m", {"kept": True})
    with pytest.raises(ZeroDivisionError):
        store.update("model", "m", lambda _: {"kept": 1 / 0})
    assert store.get("model", "m") == {"kept": True}
    with pytest.raises(KeyError):
        store.update("model", "none", lambda document: document)


def test_tags_are_added_replaced_and_removed(store):
    store.tag("arn", {"b": "1", "a": "1"})
    store.tag("arn", {"b": "2"})
    assert store.tags("arn") == {"a": "1", "b": "2"}
    store.untag("arn", ["a", "never"])
    assert store.tags("arn") == {"b": "2"}
    store.forget_tags("arn")
    assert store.tags("arn") == {}


def test_what_is_kept_survives_a_new_start_and_nobody_else_reads_it(tmp_path):
    path = tmp_path / "state.sqlite"
    first = Store(path)
    first.insert("model", "m", {"kept": True})
    second = Store(path)
    assert second.get("model", "m") == {"kept": True}
    assert {file.stat().st_mode & 0o777 for file in tmp_path.iterdir()} == {0o600}
    first.close()
    second.close()
