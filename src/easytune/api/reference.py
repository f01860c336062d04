"""The OpenAPI schema with words: what each route does and each field means, in a language."""

import copy
import re
from typing import Any

from easytune import i18n
from easytune.exporters import EXPORTERS
from easytune.i18n import t

Schema = dict[str, Any]
SECTIONS = {
    "SamplingSection": "sampling", "LoadingSection": "loading", "GoalSection": "goal",
    "ModelSection": "model", "DataSection": "data", "LoraSection": "lora",
    "OptimSection": "optim", "ScheduleSection": "schedule", "MemorySection": "memory",
    "MonitorSection": "monitor", "OutputSection": "output",
    "CandidatesSection": "candidates", "TestSection": "test", "MeasureSection": "measure",
    "JudgeSection": "judge", "ReportSection": "report", "DeploySection": "deploy",
    "ServerSection": "server", "LimitsSection": "limits",
    "WhatSection": "what", "GateSection": "gate", "ResultSection": "result",
}  # fmt: skip
# Each exporter calls its options so, which pydantic tells apart by their modules.
_EXPORTER = re.compile(r"easytune__exporters__(\w+)__Options")


def described(schema: Schema, server: str, lang: str) -> Schema:
    """Return a copy of FastAPI's schema with the texts of `locales/`, for this server."""
    found = copy.deepcopy(schema)
    found["info"]["title"] = t("api.title", lang)
    found["info"]["description"] = t("api.about", lang)
    found["servers"] = [{"url": server}]
    components = found["components"]
    components["securitySchemes"] = {"key": {"type": "http", "scheme": "bearer"}}
    found["security"] = [{"key": []}, {}]
    for route in found["paths"].values():
        for operation in route.values():
            _describe_operation(operation, lang)
    for name, model in components["schemas"].items():
        # Docstrings are for who reads the code.
        model.pop("description", None)
        for field, content in model.get("properties", {}).items():
            content.pop("title", None)
            if name == "SamplingSection":
                # What is not given is the model's own default, not ours.
                content.pop("default", None)
            if text := field_text(name, field, lang):
                content["description"] = text
    return found


def field_text(model: str, field: str, lang: str) -> str | None:
    """Return what a field of a model means; None when nobody has said."""
    keys = (f"api.field.{model}.{field}", f"api.field.{field}")
    exporter = _EXPORTER.fullmatch(model)
    if model == "ExportConfig" and field in EXPORTERS:
        keys = (f"export.target.{field}.about",)
    if section := exporter[1] if exporter else SECTIONS.get(model):
        keys = (f"option.{section}.{field}.help",)
    return next((t(key, lang) for key in keys if i18n.has(key, lang)), None)


def _describe_operation(operation: Schema, lang: str) -> None:
    key = f"api.operation.{operation['operationId']}"
    operation["summary"] = t(f"{key}.summary", lang)
    if i18n.has(f"{key}.more", lang):
        operation["description"] = t(f"{key}.more", lang)
    for body in operation.get("requestBody", {}).get("content", {}).values():
        form = body["schema"]
        for field, content in form.get("properties", {}).items():
            content["description"] = field_text(form["title"], field, lang) or ""
    for parameter in operation.get("parameters", []):
        parameter["description"] = t(f"api.parameter.{parameter['name']}", lang)
