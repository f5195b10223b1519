"""The models of one process: one list of them, whoever asks first, and a load that does not end is known."""

import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from byoc_serving.copies import Copies
from byoc_serving.memory import Memory
from byoc_serving.models import models as module
from byoc_serving.models.models import Models
from byoc_serving.settings import Settings
from flask_server import apps_with, own_imports
from processes import eventually


@pytest.fixture
def models(tmp_path):
    script = """
        import pathlib, time
        def model_fn(model_dir):
            while not pathlib.Path(model_dir, "go on").exists(): time.sleep(0.01)
        def predict_fn(data, model): return data
    """
    settings = Settings(tmp_path, apps_dir=apps_with(tmp_path, script), startup_timeout_s=0.05)
    with own_imports():
        yield Models(settings, Copies(Memory(None)))


def test_threads_that_ask_first_at_the_same_time_have_one_list(models, monkeypatch):
    made = module.Registry

    def slowly(folder):
        time.sleep(0.1)
        return made(folder)

    monkeypatch.setattr(module, "Registry", slowly)
    with ThreadPoolExecutor(2) as threads:
        assert len(set(threads.map(lambda _: models.registry, range(2)))) == 1


def test_a_load_that_takes_too_long_is_known_by_the_name_of_its_model_until_it_ends(models, tmp_path):
    (tmp_path / "a").mkdir()
    assert models.overdue() is None
    with ThreadPoolExecutor(1) as threads:
        load = threads.submit(models.load, "a", str(tmp_path / "a"))
        assert eventually(lambda: models.overdue() == "a")
        (tmp_path / "a" / "go on").touch()
        load.result()
    assert models.overdue() is None
