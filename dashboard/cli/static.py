"""canopy static: static files, collected ahead of the start."""

from __future__ import annotations

from dashboard.cli.django_setup import refusing, with_django
from dashboard.cli.examples import examples

EXAMPLES = examples(("in an image whose root file system will be read-only", "CANOPY_STATIC=/opt/static canopy static"))


def static() -> None:
    """Collect static files into CANOPY_STATIC.

    `canopy web` does so by itself when they have changed. Run it ahead of the start for a folder that will be
    read-only. CANOPY_STATIC is `static` in CANOPY_HOME by default.
    """
    with_django()
    from dashboard.server.static_files import collect_static

    with refusing():
        collect_static()
