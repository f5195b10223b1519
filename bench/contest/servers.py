"""The servers that run against each other: how each is started, spoken to, and known to be ready."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from bench.contest.bodies import CSV, JSON, MLFLOW, PREDICT, V2, Dialect

ONE_THREAD = {
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "NUMEXPR_NUM_THREADS": "1",
}
_MODEL = {"MODEL": "{subject}/model/model.txt"}
_TOLD = {**_MODEL, "PORT": "{port}", "WORKERS": "{workers}"}


@dataclass(frozen=True)
class Server:
    """One server of the model.

    In `command`, `variables` and `prepared`, {python} is that of its environment, {programs} and {program}
    are bench/programs and its own folder there, {image} this project's program, {subject} the model's folder
    (subject.py), {work} one to write into, {port} where it shall listen, {workers} how many processes it
    shall have: one for each core.

    Attributes:
        name: as --only has it.
        title: as the table has it.
        program: a folder of bench/programs; its requirements.txt says what is in the environment.
        prepared: what the program's prepare.py is given, which is run before; None where there is none.
        ready: the path that answers 200 when it can predict.
        predicts: whether its answers are the model's; the ceiling's are not.
    """

    name: str
    title: str
    program: str
    command: Sequence[str]
    dialect: Dialect = JSON
    variables: Mapping[str, str] = field(default_factory=lambda: {**ONE_THREAD, **_TOLD})
    prepared: Sequence[str] | None = None
    ready: str = "/ping"
    predicts: bool = True


OURS = Server(
    "ours",
    "ours: nginx, gunicorn and this project's predictor",
    "ours",
    ("{python}", "{work}/program/serve"),
    variables={
        "SAGEMAKER_BASE_DIR": "{work}/ml",
        "SAGEMAKER_BIND_TO_PORT": "{port}",
        "MODEL_SERVER_HOST": "127.0.0.1",
    },
    prepared=("{work}", "{subject}", "{image}", "inference.py"),
)
_UVICORN = (
    "{python}",
    "-m",
    "uvicorn",
    "--app-dir",
    "{program}",
    "--port",
    "{port}",
    "--workers",
    "{workers}",
)
TUNED = Server(
    "fastapi-tuned",
    "FastAPI and uvicorn, tuned by hand",
    "fastapi",
    (*_UVICORN, "--loop", "uvloop", "--http", "httptools", "--no-access-log", "tuned:app"),
)
DOCUMENTED = Server("fastapi", "FastAPI and uvicorn, as documented", "fastapi", (*_UVICORN, "documented:app"))
_NGINX = (
    "{python}",
    "{programs}/behind_nginx.py",
    "{program}/nginx.conf",
    "{work}",
    "{port}",
    "-w",
    "{workers}",
)
_EXAMPLE = (*_NGINX, "-k", "gevent", "--timeout", "60", "predictor:app")
EXAMPLE_ONE_THREAD = Server(
    "example-one-thread",
    "AWS's example: nginx, gunicorn, Flask, pandas; one library thread",
    "example",
    _EXAMPLE,
    CSV,
)
EXAMPLE = Server("example", "the same as shipped: library threads unset", "example", _EXAMPLE, CSV, _MODEL)
BENTOML = Server(
    "bentoml",
    "BentoML",
    "bentoml",
    ("{python}", "-m", "bentoml", "serve", "service:Bench", "--working-dir", "{program}", "--port", "{port}"),
    PREDICT,
    ready="/readyz",
)
LITSERVE = Server(
    "litserve", "LitServe", "litserve", ("{python}", "{program}/server.py"), PREDICT, ready="/health"
)
MLSERVER = Server(
    "mlserver",
    "MLServer",
    "mlserver",
    ("{python}", "-c", "from mlserver.cli import main; main()", "start", "{work}"),
    V2,
    prepared=("{work}", "{subject}", "{port}", "{workers}"),
    ready="/v2/models/bench/ready",
)
_MLFLOW = ("{python}", "-m", "mlflow", "models", "serve", "-m", "{work}/model", "--env-manager", "local")
MLFLOW_SERVER = Server(
    "mlflow",
    "MLflow",
    "mlflow",
    (*_MLFLOW, "--host", "127.0.0.1", "--port", "{port}", "--workers", "{workers}"),
    MLFLOW,
    prepared=("{work}", "{subject}"),
)
CEILING = Server(
    "ceiling",
    "ceiling: nginx and gunicorn answer a constant",
    "ceiling",
    (*_NGINX, "-k", "asgi", "--keep-alive", "75", "constant:app"),
    predicts=False,
)
SERVERS = (
    OURS,
    TUNED,
    DOCUMENTED,
    EXAMPLE_ONE_THREAD,
    EXAMPLE,
    BENTOML,
    LITSERVE,
    MLSERVER,
    MLFLOW_SERVER,
    CEILING,
)
SHORT = (OURS, TUNED, EXAMPLE_ONE_THREAD, CEILING)
