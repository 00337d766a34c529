"""The environment of tests: a home of their own and no other server. Loaded before Django's settings (pytest -p)."""

from __future__ import annotations

import atexit
import compileall
import os
import shutil
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
HOME = tempfile.mkdtemp(prefix="canopy-tests-")
SHARED = Path(os.environ.setdefault("CANOPY_TESTS_HOME", HOME))
"""The home of the process that shares out the tests: what is made once for all of them."""
atexit.register(shutil.rmtree, HOME, ignore_errors=True)

os.environ.pop("PYTHONDONTWRITEBYTECODE", None)  # a hundred processes of the product are started: compile it once
sys.dont_write_bytecode = False
if "PYTEST_XDIST_WORKER" not in os.environ:  # and before its workers, which import it all at the same time
    for folder in ("orchestration", "dashboard", "tests/support"):
        compileall.compile_dir(ROOT / folder, quiet=1)
for name in ("REDIS_URL", "CANOPY_PROCESSORS", *(each for each in os.environ if each.startswith("TEMPORAL_"))):
    os.environ.pop(name, None)
os.environ["TEMPORAL_CONFIG_FILE"] = os.devnull  # not what is in the home of whoever runs the tests
os.environ["CANOPY_HOME"] = HOME
os.environ["CANOPY_HTTP_ALLOW"] = ""
os.environ["DATABASE_URL"] = os.environ.pop("CANOPY_TEST_DATABASE_URL", "")
if not os.environ["DATABASE_URL"]:
    del os.environ["DATABASE_URL"]
