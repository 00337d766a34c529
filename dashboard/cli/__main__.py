"""`python -m dashboard.cli`: the `canopy` command of a checkout that is not installed."""

from dashboard.cli.main import main

main()
