"""Builds of workers: which one a process is, where Temporal keeps running workflows with the build that began them.

CANOPY_WORKER_DEPLOYMENT names a worker deployment of Temporal; without it all workers take all work, as patches allow.
"""

from __future__ import annotations

import hashlib
import os
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from temporalio.common import VersioningBehavior, WorkerDeploymentVersion
from temporalio.worker import WorkerDeploymentConfig

from orchestration.extras import DISTRIBUTION

DEPLOYMENT = "CANOPY_WORKER_DEPLOYMENT"
"""Name of the deployment; empty (the default): workers have no builds. Needs Temporal 1.28 or newer."""

BUILD = "CANOPY_WORKER_BUILD"
"""Id of the build, such as an image's tag; by default the version and a fingerprint of Canopy's own code."""

FOLLOWS_CURRENT = (
    VersioningBehavior.AUTO_UPGRADE if os.environ.get(DEPLOYMENT, "").strip() else VersioningBehavior.UNSPECIFIED
)
"""Of types that outlive a release: they go on with the build that is current. Without a deployment Temporal refuses all
that a workflow does which names any behaviour."""

PACKAGE = Path(__file__).resolve().parent.parent
FINGERPRINT = 10
"""Characters of it."""


def deployment_of_environment() -> WorkerDeploymentConfig | None:
    """Return to which deployment and build this process belongs, or None.

    Workflows stay with the build that began them, unless their type says that they follow the current one.
    """
    name = os.environ.get(DEPLOYMENT, "").strip()
    if not name:
        return None
    return WorkerDeploymentConfig(
        version=WorkerDeploymentVersion(deployment_name=name, build_id=build_id()),
        use_worker_versioning=True,
        default_versioning_behavior=VersioningBehavior.PINNED,
    )


def build_id() -> str:
    """Return the id of this build."""
    if given := os.environ.get(BUILD, "").strip():
        return given
    digest = hashlib.sha256()
    for path in sorted(PACKAGE.rglob("*.py")):
        digest.update(str(path.relative_to(PACKAGE)).encode() + b"\0" + path.read_bytes() + b"\0")
    return f"{_version()}-{digest.hexdigest()[:FINGERPRINT]}"


def _version() -> str:
    try:
        return version(DISTRIBUTION)
    except PackageNotFoundError:
        return "checkout"
