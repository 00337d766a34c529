#!/bin/sh
# Takes out of a virtual environment what no process of Canopy loads: `slim.sh /opt/canopy`.
set -eu
site=$(echo "$1"/lib/python3*/site-packages)

# pyarrow: Parquet is written, nothing is compiled against it, and it is not asked over Flight.
rm -rf "$site"/pyarrow/include "$site"/pyarrow/tests "$site"/pyarrow/src "$site"/pyarrow/includes
rm -f "$site"/pyarrow/libarrow_flight* "$site"/pyarrow/_flight*.so "$site"/pyarrow/libarrow_substrait* "$site"/pyarrow/_substrait*.so
rm -f "$site"/pyarrow/libarrow_python_flight* "$site"/pyarrow/*.pxd "$site"/pyarrow/*.pyx "$site"/pyarrow/*.pxi

# Django: translations of other languages, and of parts that are not installed.
find "$site"/django/conf/locale -mindepth 1 -maxdepth 1 -type d ! -name en ! -name de ! -name __pycache__ -exec rm -rf {} +
find "$site"/django/contrib -type d -name locale -exec sh -c 'cd "$1" && find . -mindepth 1 -maxdepth 1 ! -name en ! -name de -exec rm -rf {} +' _ {} \;

find "$site" -type d \( -name tests -o -name __pycache__ \) -prune -exec rm -rf {} +
rm -rf "$site"/pip "$site"/pip-*.dist-info "$site"/setuptools "$site"/setuptools-*.dist-info "$site"/pkg_resources "$1"/bin/pip*
