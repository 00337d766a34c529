"""Renders docs/deployment/kubernetes, holds it against Kubernetes' schemas, and compose.yaml against itself.

`python -m tests.deployment.manifests` prints what is wrong, and ends with 1 where anything is.
"""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import kubernetes_validate
import yaml

from tests.support.environment import ROOT

FOLDER = ROOT / "docs" / "deployment"
VERSIONS = ("1.29", "1.34")
"""Of Kubernetes: an older one that is still run, and a new one."""

VARIABLE = re.compile(r"\$\{(\w+)(?::[?-][^}]*)?\}")


def rendered() -> list[dict[str, Any]]:
    """Return the objects that `kubectl apply -k` would send."""
    command = ["kubectl", "kustomize", str(FOLDER / "kubernetes")]
    done = subprocess.run(command, check=True, capture_output=True, text=True, timeout=60)
    return list(yaml.safe_load_all(done.stdout))


def wrong_objects(objects: list[dict[str, Any]]) -> Iterator[str]:
    """Yield what the schemas do not allow, and names that no object has."""
    for each in objects:
        name = f"{each['kind']} {each['metadata']['name']}"
        for version in VERSIONS:
            try:
                kubernetes_validate.validate(each, version, strict=True)
            except kubernetes_validate.ValidationError as error:
                yield f"{name}, Kubernetes {version}: {error}"
    known = {(each["kind"], each["metadata"]["name"]) for each in objects}
    for kind, name in sorted(set(_named(objects)) - known):
        yield f"There is no {kind} {name}."


def _named(objects: list[dict[str, Any]]) -> Iterator[tuple[str, str]]:
    """Yield the objects that others name."""
    for each in objects:
        spec = each.get("spec", {})
        if each["kind"] == "HorizontalPodAutoscaler":
            yield spec["scaleTargetRef"]["kind"], spec["scaleTargetRef"]["name"]
        if each["kind"] == "Ingress":
            for rule in spec["rules"]:
                yield from (("Service", path["backend"]["service"]["name"]) for path in rule["http"]["paths"])
        if each["kind"] in ("Deployment", "Job"):
            pod = spec["template"]["spec"]
            yield "ServiceAccount", pod["serviceAccountName"]
            for source in pod["containers"][0]["envFrom"]:
                yield from (
                    ("ConfigMap" if "configMapRef" in source else "Secret", ref["name"]) for ref in source.values()
                )


def wrong_compose() -> Iterator[str]:
    """Yield what compose.yaml names and does not have."""
    text = (ROOT / "compose.yaml").read_text()
    found = yaml.safe_load(text)
    for name, service in found["services"].items():
        for wrong in (*_wrong_order(service, found["services"]), *_wrong_mounts(service, found["volumes"])):
            yield f"compose.yaml: {name} {wrong}."
    given = (FOLDER / "compose" / "env.example").read_text()
    for variable in sorted(set(VARIABLE.findall(text))):
        if f"\n{variable}=" not in given and f"${{{variable}:-" not in text:
            yield f"compose.yaml: {variable} is not in env.example."


def _wrong_order(service: dict[str, Any], services: dict[str, Any]) -> Iterator[str]:
    for other, how in service.get("depends_on", {}).items():
        if other not in services:
            yield f"depends on {other}, which is no service"
        elif how["condition"] == "service_healthy" and not _has_health(services[other]):
            yield f"waits for the health of {other}, which has no check"


def _wrong_mounts(service: dict[str, Any], volumes: dict[str, Any]) -> Iterator[str]:
    for source in (volume.split(":")[0] for volume in service.get("volumes", [])):
        if source.startswith(".") and not (ROOT / source).is_file():
            yield f"mounts {source}, which is no file"
        elif not source.startswith(".") and source not in volumes:
            yield f"mounts {source}, which is no volume"


def _has_health(service: dict[str, Any]) -> bool:
    """Whether a service has a check of its own, or the one of Canopy's image."""
    return "test" in service.get("healthcheck", {}) or "canopy" in str(service["image"]).lower()


def main() -> int:
    """Print what is wrong."""
    objects = rendered()
    found = [*wrong_objects(objects), *wrong_compose()]
    for each in found:
        print(each)
    print(f"Manifests: {len(objects)} objects, {'all right' if not found else 'see above'}.")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
