"""Which door answers /invocations: ours, or the Flask app with what its user hung into it."""

import flask

from byoc_serving.settings import Settings


def invocations_of(app: flask.Flask, settings: Settings) -> bool:
    """Whether the worker may answer /invocations without asking the app."""
    match settings.door:
        case "fast":
            return True
        case "flask":
            return False
    return not hooks_of(app)


def hooks_of(app: flask.Flask) -> list[str]:
    """Return what of an app would not be called, or would be another's, if it were not asked."""
    found = [
        name
        for name in (
            "before_request_funcs",
            "after_request_funcs",
            "teardown_request_funcs",
            "url_value_preprocessors",
            "teardown_appcontext_funcs",
        )
        if any(getattr(app, name).values() if isinstance(getattr(app, name), dict) else getattr(app, name))
    ]
    if "wsgi_app" in vars(app):
        found.append("wsgi_app")
    if app.view_functions.get("invoke") is not app.extensions.get("invoke"):
        found.append("/invocations")
    return found
