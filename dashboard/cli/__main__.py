"""`python -m dashboard.cli`: the `canopy` command of a checkout that is not installed."""

from dashboard.cli.main import main

if __name__ == "__main__":  # web processes of `canopy web --workers 2` import it, too
    main()
