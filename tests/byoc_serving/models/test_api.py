"""SageMaker's multi-model API, with its exact statuses, through both doors."""

import contextlib
import http.client
import json
from concurrent.futures import ThreadPoolExecutor

import flask
import numpy as np
import pytest

from byoc_serving.model_version import write_schema
from byoc_serving.models.api import called_model
from byoc_serving.settings import MEGABYTE, Settings
from flask_server import DOORS, ECHO, apps_with, fast_serving, own_imports, write_manifest
from predictor import create_app
from processes import eventually
from scrape import scraped
from serving import APPS
from tiny_models import PREDICTED, ROW, put


@pytest.fixture(scope="module", params=DOORS)
def api(request, tmp_path_factory):
    with own_imports():
        base_dir = tmp_path_factory.getbasetemp()
        settings = Settings(base_dir, apps_dir=APPS / "scales", multi_model=True, models_mb=100)
        with DOORS[request.param](create_app(settings)) as caller:
            yield Api(caller, base_dir)


class Api:
    def __init__(self, caller, base_dir=None):
        self.caller = caller
        self.base_dir = base_dir

    def post(self, document):
        body = document if isinstance(document, bytes) else json.dumps(document).encode()
        return self.caller.request("POST", "/models", body)

    def load(self, name, folder):
        return self.post({"model_name": name, "url": str(folder)})

    def call(self, quoted, value=2):
        return self.caller.request("POST", f"/models/{quoted}/invoke", f"[[{value}]]".encode())


@pytest.fixture
def model(tmp_path):
    """A function that writes a model and returns its folder."""

    def write(**told):
        folder = tmp_path / "model"
        folder.mkdir(exist_ok=True)
        (folder / "model.json").write_text(json.dumps({"factor": 3, **told}))
        return folder

    return write


def test_a_model_is_loaded_called_listed_and_unloaded(api, model, tmp_path):
    told = {"modelName": "one", "modelUrl": str(model())}
    assert (api.load("one", model()).status, api.load("one", model()).status) == (200, 409)
    assert api.call("one").json["answer"] == [6.0]
    assert api.caller.request("GET", "/models/one").json == told
    assert told in api.caller.request("GET", "/models").json["models"]
    assert api.caller.request("DELETE", "/models/one").status == 200
    for method, path in [("DELETE", "/models/one"), ("GET", "/models/one"), ("POST", "/models/one/invoke")]:
        assert api.caller.request(method, path).status == 404
    assert api.caller.request("GET", "/models").json == {"models": []}


def test_ping_is_200_without_a_model_and_there_is_no_invocations(api):
    assert api.caller.request("GET", "/ping").json == {"status": "ready"}
    assert api.caller.invoke("[[1]]").status == 404


@pytest.mark.parametrize(("name", "quoted"), [("a/b", "a%2Fb"), ("ü//x/invoke", "%C3%BC%2F%2Fx%2Finvoke")])
def test_a_name_may_have_any_character(api, model, name, quoted):
    assert api.load(name, model()).status == 200
    assert api.call(quoted).json["answer"] == [6.0]
    assert api.caller.request("GET", f"/models/{quoted}").json["modelName"] == name
    assert api.caller.request("DELETE", f"/models/{quoted}").status == 200


@pytest.mark.bad_input
@pytest.mark.parametrize(
    "document",
    [b"", b"{", [], {}, {"model_name": "a"}, {"model_name": "", "url": "/"}, {"model_name": "a", "url": 1}]
    + [b"[" * 100_000, {"model_name": "\ud800", "url": "/"}, {"model_name": "a", "url": "\ud800"}]
    + [{"model_name": "a", "url": url} for url in ("model", "/nowhere/at/all", "", "/", "/etc")],
)
def test_what_names_no_model_is_400(api, document):
    assert api.post(document).status == 400


@pytest.mark.bad_input
@pytest.mark.parametrize("below", ["gone", "../..", "", "x" * 5000, "a\0b", "model/model.json"])
def test_what_is_no_folder_below_the_base_directory_is_400(api, model, below):
    assert api.load("a", f"{model().parent}/{below}" if below else api.base_dir).status == 400


def test_a_model_that_cannot_be_loaded_is_500_with_the_reason_and_the_others_live_on(api, model, tmp_path):
    assert api.load("good", model()).status == 200
    bad = tmp_path / "bad"
    bad.mkdir()
    got = api.load("bad", bad)
    assert (got.status, got.error["code"]) == (500, "ModelUnusable")
    assert "model_fn failed: FileNotFoundError" in got.error["message"]
    write_manifest(bad, files=())
    (bad / "manifest.json").write_text("{}")
    assert "Bad manifest" in api.load("bad", bad).error["message"]
    assert api.caller.request("GET", "/models/bad").status == 404
    assert api.call("good").status == 200
    assert api.caller.request("DELETE", "/models/good").status == 200


def test_a_model_that_does_not_fit_is_507(api, model):
    with (model() / "weights").open("wb") as file:
        file.truncate(150 * MEGABYTE)  # a hole, which takes no room on the disk
    got = api.load("large", model())
    assert (got.status, got.error["code"]) == (507, "InsufficientMemory")
    assert "MODEL_SERVER_MODELS_MB" in got.error["message"]
    assert api.caller.request("GET", "/models/large").status == 404


def test_a_model_wanted_by_several_at_once_is_loaded_once(api, model, tmp_path):
    folder = model(load_s=0.1)
    with ThreadPoolExecutor(4) as threads:
        answers = list(threads.map(lambda _: api.load("wanted", folder).status, range(4)))
    assert sorted(answers) == [200, 409, 409, 409]
    assert len((folder.parent / "loads").read_text().split()) == 1
    assert api.caller.request("DELETE", "/models/wanted").status == 200


def test_a_load_keeps_no_call_to_another_model_waiting(api, model, tmp_path):
    assert api.load("quick", model()).status == 200
    slow = tmp_path / "slow" / "model"
    slow.mkdir(parents=True)
    (slow / "model.json").write_text(json.dumps({"factor": 1, "load_s": 1}))
    with ThreadPoolExecutor(1) as threads:
        loading = threads.submit(api.load, "slow", slow)
        while not (slow.parent / "loads").exists():
            assert not loading.done()
        assert api.call("quick").status == 200
        assert not loading.done()
        assert loading.result().status == 200
    for name in ("quick", "slow"):
        assert api.caller.request("DELETE", f"/models/{name}").status == 200


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("PUT", "/models", {"GET", "HEAD", "POST"}),
        ("DELETE", "/models", {"GET", "HEAD", "POST"}),
        ("GET", "/models/a/invoke", {"POST"}),
        ("DELETE", "/models/a/invoke", {"POST"}),
        ("POST", "/models/a", {"DELETE", "GET", "HEAD"}),
    ],
)
def test_a_wrong_method_is_405_with_those_that_are_taken(api, method, path, allowed):
    got = api.caller.request(method, path)
    assert got.status == 405
    assert set(got.headers["Allow"].split(", ")) - {"OPTIONS"} == allowed


@pytest.mark.parametrize(
    ("method", "path"),
    [
        (method, path)
        for method in ("GET", "DELETE")
        for path in ("/models/a/b", "/models/a/", "/models/a/b/c")
    ]
    + [("POST", "/models/a/b/invoke"), ("GET", "/models/"), ("HEAD", "/models/a")],
)
def test_what_is_no_path_of_the_api_is_404(api, method, path):
    assert api.caller.request(method, path).status == 404


def test_head_is_answered_as_get_without_the_body(api):
    got = api.caller.request("HEAD", "/models")
    assert (got.status, got.body) == (200, b"")


def test_a_token_that_is_none_of_ours_is_refused(api):
    assert api.caller.request("GET", "/models?next_page_token=%25").status == 400


def test_the_description_has_what_is_served_and_nothing_is_told_to_transform_jobs(api):
    made = api.caller.request("GET", "/openapi.json").json
    assert {"/ping", "/models", "/models/{name}", "/models/{name}/invoke", "/metrics"} <= set(made["paths"])
    assert not {"/invocations", "/execution-parameters"} & set(made["paths"])
    assert api.caller.request("GET", "/execution-parameters").status == 404


def test_the_description_knows_the_functions_that_all_models_share(tmp_path):
    script = f"{ECHO}\ndef input_fn(body, content_type): return body\n"
    with own_imports():
        settings = Settings(base_dir=tmp_path, apps_dir=apps_with(tmp_path, script), multi_model=True)
        client = create_app(settings).test_client()
        (tmp_path / "one").mkdir()
        posted = client.post("/models", json={"model_name": "one", "url": str(tmp_path / "one")})
        assert posted.status_code == 200
        made = client.get("/openapi.json").json
    assert list(made["paths"]["/models/{name}/invoke"]["post"]["requestBody"]["content"]) == ["*/*"]


@pytest.mark.parametrize("door", DOORS)
def test_each_model_is_held_to_its_own_schema_and_a_bad_record_gets_the_placeholder(tmp_path, door):
    settings = Settings(
        apps_dir=apps_with(tmp_path, ECHO),
        base_dir=tmp_path,
        multi_model=True,
        schema="enforce",
        bad_record="BAD",
    )
    for name, most in (("low", 2.0), ("high", 9.0)):
        (tmp_path / name).mkdir()
        write_schema(tmp_path / name, np.array([[0.0, 0.0], [most, most]]))
    (tmp_path / "bare").mkdir()
    with own_imports(), DOORS[door](create_app(settings)) as caller:
        got = Api(caller).load("bare", tmp_path / "bare")
        assert (got.status, "MODEL_SERVER_SCHEMA=enforce" in got.error["message"]) == (500, True)
        for name, answer in (("low", b"1.0,2.0\nBAD\n"), ("high", b"1.0,2.0\n5.0,1.0\n")):
            assert Api(caller).load(name, tmp_path / name).status == 200
            csv = {"Content_Type": "text/csv", "Accept": "text/csv"}
            assert caller.request("POST", f"/models/{name}/invoke", b"1,2\n5,1\n", **csv).body == answer
        assert Api(caller).call("low", 5).status == 400


def test_without_the_setting_there_is_no_such_api(tmp_path):
    with own_imports():
        app = create_app(Settings(apps_dir=APPS / "scales"))
        assert app.test_client().get("/models").status_code == 404


@pytest.mark.parametrize(
    ("target", "name"),
    [
        (b"/models/a/invoke", "a"),
        (b"/models/a%2Fb/invoke?x=1", "a/b"),
        (b"/models/a", None),
        (b"/models/a/b/invoke", None),
        (b"/invocations", None),
    ],
)
def test_the_model_that_is_called_is_named_in_the_path(target, name):
    assert called_model(target) == name


def test_every_call_is_counted_and_logged_by_the_name_and_version_of_its_model(api, model, caplog):
    caplog.set_level("INFO", "invocation")
    folder = model()
    write_manifest(folder, n_features=1)
    before = scraped(api.caller.request("GET", "/metrics").body.decode())
    assert api.load("a/1", folder).status == 200
    assert (api.call("a%2F1").status, api.call("gone").status) == (200, 404)
    assert api.caller.request("DELETE", "/models/a%2F1").status == 200
    page = scraped(api.caller.request("GET", "/metrics").body.decode())
    for status in ("2xx", "4xx"):
        key = "byoc_requests_total", f'status="{status}"'
        assert page[key] - before[key] == 1
    version = json.loads((folder / "manifest.json").read_text())["version"]
    lines = [vars(record) for record in caplog.records if record.name == "invocation"]
    told = [(line["model"], line["model_version"], line["status"]) for line in lines]
    assert told == [("a/1", version, 200), ("gone", None, 404)]


def test_what_a_full_queue_sends_away_is_counted_and_what_waits_for_its_model_fills_it(model, tmp_path):
    folder = model(load_s=1)
    with own_imports():
        app = create_app(Settings(apps_dir=APPS / "scales", base_dir=tmp_path, multi_model=True))
        with fast_serving(app, most_waiting=1) as caller, ThreadPoolExecutor(1) as threads:
            loading = threads.submit(Api(caller).load, "slow", folder)
            assert eventually((folder.parent / "loads").exists)
            sent_away = Api(caller).call("slow")
            assert (sent_away.status, sent_away.error["code"]) == (503, "TooManyRequests")
            assert caller.invoke("[[1]]").status == 503
            assert loading.result().status == 200
            page = scraped(caller.request("GET", "/metrics").body.decode())
    assert page["byoc_requests_refused_total", None] == 1
    assert page["byoc_requests_total", 'status="5xx"'] == 1


WARM = """
    def model_fn(model_dir): return [model_dir.rpartition("/")[2]]
    def model_warmup_fn(model): model.append("warm")
    def predict_fn(data, model): return [" ".join(model)] * len(data)
    def route_fn(data, parent):
        assert parent == ["parent", "warm"]
        return [row[0] for row in data.astype(int)]
"""


@pytest.fixture
def family(tmp_path):
    """A function that writes a parent and two children, each by a function of its folder."""

    def write(write_one):
        children = [{"name": name, "path": f"of/{name}"} for name in ("a", "b")]
        for path in ("parent", "of/a", "of/b"):
            (tmp_path / "family" / path).mkdir(parents=True)
            write_one(tmp_path / "family" / path)
        table = {"format": "byoc-routes/1", "parent": "parent", "children": children}
        (tmp_path / "family" / "routes.json").write_text(json.dumps(table))
        return tmp_path / "family"

    return write


@pytest.mark.parametrize("door", DOORS)
def test_each_model_and_each_child_is_warmed_up_by_itself(family, tmp_path, door):
    settings = Settings(apps_dir=apps_with(tmp_path, WARM), base_dir=tmp_path, multi_model=True)
    with own_imports(), DOORS[door](create_app(settings)) as caller:
        api = Api(caller)
        assert api.load("many", family(lambda _: None)).status == 200
        assert api.load("one", tmp_path / "family" / "of" / "b").status == 200
        assert api.caller.request("POST", "/models/many/invoke", b"[[1], [0]]").json == ["b warm", "a warm"]
        assert api.call("one").json == ["b warm"]


def test_each_model_and_each_child_is_asked_by_its_library_where_there_is_no_code(family, tmp_path):
    script = "def route_fn(data, parent): return [int(row[2] > 0) for row in data]"
    settings = Settings(apps_dir=apps_with(tmp_path, script), base_dir=tmp_path, multi_model=True)
    with own_imports(), fast_serving(create_app(settings)) as caller:
        assert Api(caller).load("many", family(lambda folder: put("model.txt", folder))).status == 200
        assert Api(caller).load("one", tmp_path / "family" / "of" / "a").status == 200
        body = json.dumps([ROW, [0, 0, -1], ROW]).encode()
        many = caller.request("POST", "/models/many/invoke", body).json
        one = caller.request("POST", "/models/one/invoke", body).json
        assert many == pytest.approx(one)
        assert many[0] == pytest.approx(PREDICTED["model.txt"][0])


def test_children_of_different_libraries_answer_each_its_rows(family, tmp_path):
    script = "def route_fn(data, parent): return ['b' if row[2] > 0 else 'a' for row in data]"
    kinds = {"parent": "model.txt", "a": "model.ubj", "b": "model.onnx"}
    settings = Settings(apps_dir=apps_with(tmp_path, script), base_dir=tmp_path, multi_model=True)
    with own_imports(), fast_serving(create_app(settings)) as caller:
        assert Api(caller).load("many", family(lambda folder: put(kinds[folder.name], folder))).status == 200
        assert Api(caller).load("one", tmp_path / "family" / "of" / "a").status == 200
        other = [0.5, -1.0, -2.0]
        [number] = caller.request("POST", "/models/one/invoke", json.dumps([other]).encode()).json
        many = caller.request("POST", "/models/many/invoke", json.dumps([ROW, other, ROW]).encode()).json
        assert many == [*PREDICTED["model.onnx"], number, *PREDICTED["model.onnx"]]


STREAM = """
    import pathlib, time
    def model_fn(model_dir): return pathlib.Path(model_dir)
    def transform_fn(model, body, content_type, accept, context):
        yield "begun"
        while not (model / "on").exists():
            time.sleep(0.01)
            yield "."
"""


@pytest.mark.parametrize("door", DOORS)
def test_a_model_stays_until_the_last_piece_of_its_answer_is_sent_or_its_caller_has_gone(tmp_path, door):
    settings = Settings(tmp_path, apps_dir=apps_with(tmp_path, STREAM), multi_model=True)
    (tmp_path / "a").mkdir()
    with own_imports():
        app = create_app(settings)
        copies = app.extensions["models"].copies
        with DOORS[door](app) as caller, ThreadPoolExecutor(2) as threads:
            assert Api(caller).load("a", tmp_path / "a").status == 200
            [copy] = copies._copies.values()
            with contextlib.closing(http.client.HTTPConnection("127.0.0.1", caller.port)) as gone:
                gone.request("POST", "/models/a/invoke", b"[[1]]")
                assert gone.getresponse().read(5) == b"begun"
                assert copy.holds
            assert eventually(lambda: not copy.holds)
            call = threads.submit(Api(caller).call, "a")
            assert eventually(lambda: copy.holds)
            unload = threads.submit(caller.request, "DELETE", "/models/a")
            assert eventually(lambda: not copies.labels)
            assert not unload.done()
            (tmp_path / "a" / "on").touch()
            assert call.result().body.startswith(b"begun.")
            assert unload.result().status == 200
            assert copy.value is None


@pytest.mark.parametrize("door", DOORS)
def test_what_nobody_foresaw_is_500_without_its_words_and_the_next_call_is_answered(
    model, tmp_path, door, monkeypatch
):
    with own_imports():
        app = create_app(Settings(apps_dir=APPS / "scales", base_dir=tmp_path, multi_model=True))
        models = app.extensions["models"]
        with DOORS[door](app) as caller:
            assert Api(caller).load("one", model()).status == 200
            with monkeypatch.context() as patch:
                patch.setattr(models, "hold_if_here", lambda _name: None)
                patch.setattr(models, "hold", lambda _name: {}["secret"])
                got = Api(caller).call("one")
                assert (got.status, got.error["code"]) == (500, "InternalServerError")
                assert b"secret" not in got.body
            assert Api(caller).call("one").status == 200


def test_calls_that_wait_for_a_load_share_it_and_are_answered_in_order_before_those_that_came_later(
    model, tmp_path
):
    """The model leaves memory and comes back by the first of five calls; a sixth has another model."""
    asides, answered_rows = [], []
    with own_imports():
        app = create_app(Settings(tmp_path, apps_dir=APPS / "scales", multi_model=True))
        models = app.extensions["models"]
        note = lambda call: answered_rows.append(call.request.body)  # noqa: E731
        with fast_serving(app, note=note) as caller, ThreadPoolExecutor(6) as threads:
            turns = caller.fast.turns
            assert Api(caller).load("slow", model()).status == 200
            with models.copies._changed:
                models.copies._copies.clear()
            begin, turns._aside = turns._aside, asides.append
            calls = []
            for number in range(5):
                calls.append(threads.submit(Api(caller).call, "slow", number))
                assert eventually(lambda: turns._at_side == len(calls))
            assert len(asides) == 1
            caller.fast.call(lambda: begin(asides[0]))
            assert [call.result().json["answer"] for call in calls] == [[3.0 * n] for n in range(5)]
            assert answered_rows == [b"[[%d]]" % number for number in range(5)]
            [copy] = models.copies._copies.values()
            assert eventually(lambda: copy.holds == 0)


def test_calls_that_no_thread_can_be_started_for_are_answered(model, tmp_path):
    def fail(_act):
        raise RuntimeError("can't start new thread")

    with own_imports():
        app = create_app(Settings(tmp_path, apps_dir=APPS / "scales", multi_model=True))
        with fast_serving(app) as caller:
            aside, caller.fast.turns._aside = caller.fast.turns._aside, fail
            for got in (Api(caller).load("one", model()), Api(caller).call("one")):
                assert (got.status, got.error["code"]) == (500, "InternalServerError")
            caller.fast.turns._aside = aside
            assert Api(caller).load("one", model()).status == 200
            assert Api(caller).call("one").status == 200


def test_where_the_app_has_hooks_they_see_a_call_whose_model_is_not_there_too(tmp_path, model, monkeypatch):
    with own_imports():
        app = create_app(Settings(tmp_path, apps_dir=APPS / "scales", multi_model=True, models_mb=1))
        models = app.extensions["models"]

        @app.before_request
        def check():
            if flask.request.headers.get("Token") != "secret":
                return "who are you?", 401
            return None

        with fast_serving(app, invocations=None) as caller:
            assert caller.request("POST", "/models/gone/invoke", b"[[1]]").status == 401
            got = caller.request("POST", "/models/gone/invoke", b"[[1]]", Token="secret")
            assert (got.status, got.error["code"]) == (404, "NotFound")
            page = scraped(caller.request("GET", "/metrics", Token="secret").body.decode())
            assert page["byoc_requests_total", 'status="4xx"'] == 1
            with models.registry.adding("large", str(model())), (model() / "weights").open("wb") as file:
                file.truncate(150 * MEGABYTE)
            tried, hold = [], models.hold
            monkeypatch.setattr(models, "hold", lambda name: tried.append(name) or hold(name))
            got = caller.request("POST", "/models/large/invoke", b"[[1]]", Token="secret")
            assert (got.status, got.error["code"], tried) == (507, "InsufficientMemory", ["large"])
