"""algorithm: apps/ is bound once, in SageMaker's convention, and what is missing is named."""

import signal
import sys
from concurrent.futures import ThreadPoolExecutor
from types import ModuleType

import pytest

from byoc_serving.algorithm import (
    Context,
    bind,
    is_meant_for_the_process,
    load_model,
    own_predictor,
    training_function,
)
from byoc_serving.errors import AlgorithmError
from byoc_serving.settings import Settings
from byoc_serving.stopping import StoppedError

MODEL_AND_PREDICT = "def model_fn(model_dir): return {}\ndef predict_fn(data, model): return data\n"


@pytest.fixture
def apps(tmp_path):
    """An apps/ folder to write into; what it puts on sys.path and into sys.modules leaves again."""
    modules, path = dict(sys.modules), list(sys.path)
    folder = tmp_path / "apps"
    folder.mkdir()
    yield folder
    sys.path[:] = path
    for name in set(sys.modules) - set(modules):
        del sys.modules[name]
    sys.modules.update(modules)


def bound(apps, script, program="inference.py"):
    (apps / program).write_text(script)
    return bind(Settings(apps_dir=apps, program=program))


CONTEXT = Context(model_dir="/m", request_id="r1", headers={"x-a": "1"})


def test_functions_are_called_with_and_without_the_context(apps):
    algorithm = bound(
        apps,
        "def model_fn(model_dir, context): return context.model_dir\n"
        "def input_fn(body, content_type): return body, content_type\n"
        "def predict_fn(data, model, ctx): return ctx.request_id\n"
        "def output_fn(prediction, accept, *, more=1): return prediction\n",
    )
    assert load_model(algorithm, apps) == str(apps)
    assert algorithm.input_fn("b", "text/csv", CONTEXT) == ("b", "text/csv")
    assert algorithm.predict_fn(1, 2, CONTEXT) == "r1"
    assert algorithm.output_fn("p", "text/csv", CONTEXT) == "p"
    assert algorithm.transform_fn is None


def test_a_further_parameter_with_a_default_is_not_taken_for_the_context(apps):
    algorithm = bound(
        apps,
        "def model_fn(model_dir): return {}\ndef predict_fn(data, model, threshold=0.5): return threshold\n",
    )
    assert algorithm.predict_fn([], {}, CONTEXT) == 0.5


def test_the_context_answers_as_that_of_aws_containers():
    assert CONTEXT.system_properties["model_dir"] == "/m"
    assert CONTEXT.get_request_header(0, "X-A") == "1"


@pytest.mark.parametrize(
    ("script", "message"),
    [
        ("model_fn = 3\n", r"model_fn is a int\. Make it a function"),
        ("def model_fn(): pass\n", r"model_fn\(\) cannot be called with \(model_dir\)"),
        ("def model_fn(model_dir:\n", r"apps/inference\.py cannot be imported: SyntaxError: .*line 1"),
        (
            "import no_such_library\n",
            r"No module named 'no_such_library' \(apps/inference\.py, line 1\).*requirements",
        ),
        ("raise OSError('libgomp.so.1: cannot open shared object')\n", r"libgomp1|apt\.txt"),
        (
            "raise RuntimeError('bad day')\n",
            r"cannot be imported: RuntimeError: bad day \(apps/inference\.py, line 1\)",
        ),
        ("import sys; sys.exit(4)\n", r"cannot be imported: SystemExit: 4"),
        ("raise GeneratorExit\n", r"cannot be imported: GeneratorExit \(apps/inference\.py, line 1\)"),
        (
            MODEL_AND_PREDICT + "def transform_fn(model, data, content_type, accept): pass\n",
            r"has transform_fn and predict_fn\. Keep one or the other",
        ),
    ],
)
def test_what_cannot_be_bound_is_named(apps, script, message):
    with pytest.raises(AlgorithmError, match=message):
        bound(apps, script)


def test_a_missing_script_is_named(apps):
    with pytest.raises(AlgorithmError, match=r"apps/other\.py is missing"):
        bind(Settings(apps_dir=apps, program="other.py"))


def test_a_model_fn_that_fails_names_the_files_it_found(apps, tmp_path):
    model_dir = tmp_path / "model"
    model_dir.mkdir()
    (model_dir / "model.txt").write_text("no model")
    algorithm = bound(apps, "def model_fn(model_dir): raise ValueError('bad\\nformat')\n")
    with pytest.raises(
        AlgorithmError, match=r"model_fn failed: ValueError: bad format .*holds model\.txt \(8 bytes\)"
    ):
        load_model(algorithm, model_dir)


@pytest.mark.parametrize(
    "act",
    ["raise asyncio.CancelledError", "raise GeneratorExit", "sys.exit(3)", "raise BaseException", "1 / 0"],
)
def test_whatever_model_fn_raises_is_its_failure(apps, act):
    algorithm = bound(apps, f"import asyncio, sys\ndef model_fn(model_dir): {act}\n")
    with pytest.raises(AlgorithmError, match=r"model_fn failed: \w+(: \S.*)? \(apps/inference\.py, line 2"):
        load_model(algorithm, apps)


GUNICORNS = "sys.modules['the_handler'].run()"


@pytest.fixture
def handler(monkeypatch):
    """A handler of gunicorn's for a signal that comes while the user's code runs: it leaves by sys.exit."""
    handler = {"__name__": "gunicorn.workers.base"}
    exec("import sys\ndef run(): sys.exit(1)\n", handler)
    module = ModuleType("the_handler")
    module.run = handler["run"]
    monkeypatch.setitem(sys.modules, "the_handler", module)


@pytest.fixture
def pythons_own_sigint():
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.parametrize(
    ("act", "raised"),
    [(GUNICORNS, SystemExit), ("raise KeyboardInterrupt", KeyboardInterrupt)],
)
def test_what_a_signal_raises_ends_the_load_and_the_import(apps, handler, pythons_own_sigint, act, raised):
    algorithm = bound(apps, f"import sys\ndef model_fn(model_dir): {act}\n")
    with pytest.raises(raised):
        load_model(algorithm, apps)
    with pytest.raises(raised):
        bound(apps, f"import sys\n{act}\n", program="other.py")


@pytest.mark.parametrize("act", ["raise KeyboardInterrupt", GUNICORNS])
def test_in_another_thread_nothing_comes_from_a_signal(apps, handler, pythons_own_sigint, act):
    algorithm = bound(apps, f"import sys\ndef model_fn(model_dir): {act}\n")
    with ThreadPoolExecutor() as threads, pytest.raises(AlgorithmError):
        threads.submit(load_model, algorithm, apps).result()


def test_a_keyboard_interrupt_is_believed_only_where_ctrl_c_raises_one():
    """gunicorn has a handler of its own for SIGINT."""
    before = signal.signal(signal.SIGINT, signal.SIG_DFL)
    try:
        assert not is_meant_for_the_process(KeyboardInterrupt())
    finally:
        signal.signal(signal.SIGINT, before)


def test_a_request_to_stop_is_meant_for_the_process():
    assert is_meant_for_the_process(StoppedError(signal.SIGTERM))


@pytest.mark.parametrize("content", ["no file", "nothing: there is no such directory"])
def test_an_empty_or_absent_model_directory_is_told_apart(apps, tmp_path, content):
    model_dir = tmp_path / "model"
    if content == "no file":
        model_dir.mkdir()
    algorithm = bound(apps, "def model_fn(model_dir): open(model_dir + '/model.txt')\n")
    with pytest.raises(AlgorithmError, match=content):
        load_model(algorithm, model_dir)


def test_without_predict_fn_the_models_own_predict_is_called(apps):
    algorithm = bound(
        apps,
        "class Model:\n    def predict(self, data): return [x + 1 for x in data]\n"
        "def model_fn(model_dir): return Model()\n",
    )
    assert own_predictor(algorithm, load_model(algorithm, apps)).predict([1]) == [2]


def test_without_predict_fn_a_model_that_cannot_predict_is_refused(apps):
    algorithm = bound(apps, "def model_fn(model_dir): return {}\n")
    with pytest.raises(AlgorithmError, match=r"no predict_fn\(data, model\), and the dict that model_fn"):
        own_predictor(algorithm, load_model(algorithm, apps))


def test_sagemaker_program_names_another_script(apps):
    assert bound(apps, MODEL_AND_PREDICT, program="my_script.py").name == "apps/my_script.py"


def test_apps_comes_first_on_the_path(apps):
    bound(apps, MODEL_AND_PREDICT)
    assert sys.path[0] == str(apps)


def test_a_module_of_the_users_wins_over_one_of_the_images_with_its_name(apps):
    import predictor

    (apps / "predictor.py").write_text("WHOSE = 'the user'\n")
    algorithm = bound(
        apps,
        "import predictor\n"
        "def model_fn(model_dir): return predictor.WHOSE\n"
        "def predict_fn(data, model): pass\n",
    )
    assert load_model(algorithm, apps) == "the user"
    assert predictor.create_app


def test_the_training_function_is_train_of_main(apps):
    (apps / "main.py").write_text("def train(model_dir, channels, hyperparameters): return {'name': 'm'}\n")
    assert training_function(Settings(apps_dir=apps))(None, {}, {}) == {"name": "m"}


@pytest.mark.parametrize(
    ("script", "message"),
    [
        (None, r"apps/main\.py is missing"),
        ("x = 1\n", r"apps/main\.py has no train\("),
        ("raise GeneratorExit\n", r"apps/main\.py cannot be imported: GeneratorExit"),
    ],
)
def test_a_missing_training_function_is_named(apps, script, message):
    if script:
        (apps / "main.py").write_text(script)
    with pytest.raises(AlgorithmError, match=message):
        training_function(Settings(apps_dir=apps))
