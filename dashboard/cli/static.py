"""canopy static: static files, collected ahead of the start."""

from __future__ import annotations

from dashboard.cli.django_setup import refusing, with_django
from dashboard.cli.examples import examples

EXAMPLES = examples(("in an image whose root file system will be read-only", "CANOPY_STATIC=/opt/static canopy static"))


def static() -> None:
    """Collect static files into CANOPY_STATIC.

    `canopy web` does so itself at its start, if they have changed. Do it ahead for a folder that cannot be written to
    later. CANOPY_STATIC is by default `static` in CANOPY_HOME.
    """
    with_django()
    from dashboard.server.static_files import collect_static

    with refusing():
        collect_static()
