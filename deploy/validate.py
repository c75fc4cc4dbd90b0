"""Checks every manifest under a folder (default: this file's) against the schemas of Kubernetes and of KServe.

Needs the packages kubernetes-validate (Kubernetes' schemas), kserve (its types; without its dependencies) and
PyYAML. Prints a line for each document; exit status 1 if one is wrong.
"""

import importlib.util
import pathlib
import re
import sys

import kubernetes_validate
import yaml

KUBERNETES = "1.32"
FOLDER = pathlib.Path(sys.argv[1]) if len(sys.argv) > 1 else pathlib.Path(__file__).parent


def kserve_models():
    """Where KServe's types are. They are read as text: importing kserve wants half a gigabyte of packages."""
    return pathlib.Path(importlib.util.find_spec("kserve").submodule_search_locations[0]) / "models"


def schema_of(models, kind):
    """Attribute names and types of a KServe type, out of its source: it is generated, and tells both."""
    snake = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", kind).lower()
    path = models / f"{snake}.py"
    if not path.exists():
        return None
    source = path.read_text()
    block = lambda name: dict(  # noqa: E731
        re.findall(r"'(\w+)': '([^']+)'", re.search(name + r" = \{(.*?)\}", source, re.S)[1])
    )
    types_of = block("openapi_types")
    return {json: types_of[python] for python, json in block("attribute_map").items()}


def walk(models, value, kind, path):
    """Yields what is wrong with `value` as a `kind`."""
    listed = re.fullmatch(r"list\[(.*)\]", kind)
    if listed:
        if not isinstance(value, list):
            yield f"{path}: expected a list, got {type(value).__name__}"
            return
        for i, item in enumerate(value):
            yield from walk(models, item, listed[1], f"{path}[{i}]")
        return
    scalar = {"str": str, "int": int, "bool": bool, "float": (int, float)}.get(kind)
    if scalar is not None:
        if not isinstance(value, scalar):
            yield f"{path}: expected {kind}, got {value!r}"
        return
    schema = schema_of(models, kind)
    if schema is None:
        return
    if not isinstance(value, dict):
        yield f"{path}: expected {kind}, got {type(value).__name__}"
        return
    for key, item in value.items():
        if key not in schema:
            yield f"{path}.{key}: unknown field of {kind}"
        else:
            yield from walk(models, item, schema[key], f"{path}.{key}")


def pod_of(document):
    """The containers of a ServingRuntime as a pod, so that Kubernetes' schema sees them."""
    containers = document["spec"].get("containers")
    if containers is None:
        return None
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "x"}, "spec": {"containers": containers}}


def kubernetes_faults(document):
    try:
        kubernetes_validate.validate(document, KUBERNETES, strict=True)
    except kubernetes_validate.ValidationError as error:
        yield f"{'.'.join(map(str, error.path))}: {error.message}"


def faults(models, document):
    version, kind = document["apiVersion"], document["kind"]
    if not version.startswith("serving.kserve.io/"):
        yield from kubernetes_faults(document)
        return
    name = version.split("/")[1].capitalize() + kind
    if schema_of(models, name) is None:
        yield f"KServe has no {name}"
        return
    yield from walk(models, document, name, kind)
    pod = pod_of(document)
    if pod is not None:
        yield from kubernetes_faults(pod)


def main():
    models = kserve_models()
    wrong = 0
    for path in sorted(FOLDER.rglob("*.yaml")):
        for document in yaml.safe_load_all(path.read_text()):
            found = list(faults(models, document))
            wrong += len(found)
            what = f"{path.relative_to(FOLDER)}: {document['kind']}"
            print("\n".join(f"FAILED: {what}: {fault}" for fault in found) or f"ok: {what}")
    return 1 if wrong else 0


sys.exit(main())
