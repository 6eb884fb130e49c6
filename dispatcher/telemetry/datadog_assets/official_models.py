"""Checks of JSON by the models of Datadog's official API client.

The client accepts what it does not know: an object that fits no model becomes an
``UnparsedObject``, and an unknown field an additional property. Both are mistakes in our files.
"""

from collections.abc import Iterator
from typing import Any

from dispatcher.telemetry.datadog_assets.libraries import import_datadog_library

MONITOR = "v1.model.monitor:Monitor"
DASHBOARD = "v1.model.dashboard:Dashboard"
WIDGET = "v1.model.widget:Widget"
LOGS_PIPELINE = "v1.model.logs_pipeline:LogsPipeline"
METRIC_METADATA = "v1.model.metric_metadata:MetricMetadata"
TAG_CONFIGURATION = (
    "v2.model.metric_tag_configuration_create_request:MetricTagConfigurationCreateRequest"
)
"""Names of models, below the package ``datadog_api_client``."""

_CLIENT = "datadog_api_client"


def model_mistakes(model: str, value: Any) -> Iterator[tuple[str, str]]:
    """Yield what a model does not accept: the place in the JSON, and what is wrong there."""
    module, _, name = model.partition(":")
    cls = getattr(import_datadog_library(f"{_CLIENT}.{module}"), name)
    tools = import_datadog_library(f"{_CLIENT}.model_utils")
    errors = import_datadog_library(f"{_CLIENT}.exceptions")
    configuration = import_datadog_library(f"{_CLIENT}.configuration").Configuration()
    try:
        # The two flags: names as in JSON, and types are checked.
        parsed = tools.validate_and_convert_types(
            value, (cls,), ["file"], *(True, True), configuration=configuration
        )
    except (errors.OpenApiException, TypeError, ValueError) as error:
        yield "", str(error)
        return
    yield from _mistakes(parsed, "", tools)


def _mistakes(parsed: Any, path: str, tools: Any) -> Iterator[tuple[str, str]]:
    if isinstance(parsed, tools.UnparsedObject):
        yield from _unparsed(parsed._data_store, path)  # noqa: SLF001 - the client has no public name for it
    elif isinstance(parsed, tools.ModelComposed):
        for instance in parsed._composed_instances:  # noqa: SLF001 - the client has no public name for it
            yield from _mistakes(instance, path, tools)
    elif isinstance(parsed, tools.ModelSimple):
        if parsed._unparsed:  # noqa: SLF001 - the client has no public name for it
            yield path, f'the value "{parsed.value}" is not permitted'
    elif isinstance(parsed, tools.OpenApiModel):
        yield from _fields(parsed, path, tools)
    elif isinstance(parsed, list):
        for index, inner in enumerate(parsed):
            yield from _mistakes(inner, f"{path}[{index}]", tools)


def _fields(parsed: Any, path: str, tools: Any) -> Iterator[tuple[str, str]]:
    names = parsed.attribute_map
    for key, inner in parsed._data_store.items():  # noqa: SLF001 - the client has no public name for it
        place = _join(path, names.get(key, key))
        if key not in parsed.openapi_types:
            yield place, "the field is not known"
        else:
            yield from _mistakes(inner, place, tools)


def _unparsed(value: Any, path: str) -> Iterator[tuple[str, str]]:
    """Yield the widget in a group that fits no model, or else the object itself."""
    found = False
    widgets = value.get("widgets")
    for index, widget in enumerate(widgets if isinstance(widgets, list) else ()):
        for place, what in model_mistakes(WIDGET, widget):
            found = True
            yield _join(f"{path}.widgets[{index}]", place), what
    if not found:
        about = f' of type "{value["type"]}"' if "type" in value else ""
        titled = f' and title "{value["title"]}"' if "title" in value else ""
        yield path, f"the object{about}{titled} fits no model: a type, value or field is wrong"


def _join(path: str, key: str) -> str:
    return f"{path}.{key}" if path and key else path or key
