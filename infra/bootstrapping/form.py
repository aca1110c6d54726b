"""The form of a deployment on Prefect's page, with the titles and descriptions of the flow's annotations.

Prefect 3.8 takes types, limits and defaults from `Annotated[…, Field(…)]`, but puts the parameter's bare name in place
of the title and the docstring's words (or nothing) in place of the description. It lets unknown parameters pass, and
keeps them with the run: a raw id under the API's name of the field, for instance. Here they are refused.
"""

import inspect
from typing import Any, get_args

from prefect import Flow
from prefect.utilities.callables import parameter_schema
from pydantic.fields import FieldInfo

_HIDDEN = "home"
"""Parameters that are for calls from our own code: on a worker the workspace is that of the installation."""
_NO_LINE_BREAK = r"(?!\n)"
"""After `$`, which lets one pass in Python, where the server checks."""


def form_of(flow: Flow) -> dict[str, Any]:
    """The JSON schema that the server checks parameters against and the page makes its form of."""
    form = parameter_schema(flow).model_dump_for_openapi()
    for name, parameter in inspect.signature(flow.fn, eval_str=True).parameters.items():
        for said in get_args(parameter.annotation)[1:]:
            if isinstance(said, FieldInfo):
                words = {"title": said.title, "description": said.description}
                form["properties"][name] |= {key: text for key, text in words.items() if text}
    form["properties"].pop(_HIDDEN, None)
    for field in form["properties"].values():
        for part in (field, field.get("items", {})):
            if "pattern" in part:
                part["pattern"] += _NO_LINE_BREAK
    return form | {"additionalProperties": False}
