"""The OpenAPI document of an app as it is now, with what is known of the model behind it."""

import re

import flask

from byoc_serving.body_schema import Json
from byoc_serving.errors import ModelVersionError
from byoc_serving.invocation import Invocations
from byoc_serving.models.models import Models
from byoc_serving.openapi import Route, Served, document
from byoc_serving.settings import Settings
from byoc_serving.versions.manifest import read_manifest
from byoc_serving.versions.schema import read_schema


def description_of(app: flask.Flask, served: Invocations | Models, settings: Settings) -> Json:
    """Return the document of all that an app serves, whoever hung it in."""
    return document(_routes(app), _known(served, settings))


def _routes(app: flask.Flask) -> list[Route]:
    """Return the paths of an app; the first line of a view's docstring is its summary."""
    return [
        Route(
            re.sub(r"<(?:\w+:)?_?(\w+)>", r"{\1}", rule.rule),
            sorted((rule.methods or set()) - {"HEAD", "OPTIONS"}),
            (app.view_functions[rule.endpoint].__doc__ or rule.endpoint).splitlines()[0],
            sorted(name.lstrip("_") for name in rule.arguments),
        )
        for rule in app.url_map.iter_rules()
    ]


def _known(served: Invocations | Models, settings: Settings) -> Served:
    """Return what is known of the one model now; a version that cannot be read is /ping's to tell of."""
    if isinstance(served, Models):
        return Served(algorithm=served.algorithm)
    loading = served.loading
    try:
        manifest, columns = read_manifest(loading.model_dir), read_schema(loading.model_dir)
    except ModelVersionError:
        manifest, columns = None, None
    algorithm = loading.load().algorithm if loading.state == "ready" else None
    return Served(manifest, columns, settings.schema == "enforce", algorithm)
