#!/bin/sh
# Takes out of a virtual environment what no process of Canopy loads: `slim.sh /opt/canopy`. Needs binutils.
set -eu
site=$(echo "$1"/lib/python3*/site-packages)

# pyarrow: Parquet is written to files; nothing is compiled against it, and no other storage or format is asked of it.
cd "$site/pyarrow"
rm -rf include includes tests src ./*.pxd ./*.pyx ./*.pxi ./*flight* libarrow_s3* _s3fs* _gcsfs* _azurefs* _hdfs* _orc* _cuda* \
    ./*parquet_encryption* _dataset* _substrait* _acero* _pyarrow_cpp_tests* libarrow_python.so libarrow_python.so.*.*

# Django: languages that Canopy does not have.
cd "$site/django"
for translations in conf/locale contrib/*/locale; do
    find "$translations" -mindepth 1 -maxdepth 1 -type d ! -name en ! -name de ! -name __pycache__ -exec rm -rf {} +
done

# What wheels ship beside what they load: Rust's sources, tests for authors of dialects, lexers that only colour code,
# another reader of the API's description.
cd "$site"
rm -rf temporalio/bridge/sdk-core sqlalchemy/testing ninja/static/ninja/redoc*
find pygments/lexers -name '[a-z]*.py' ! -name python.py ! -name special.py -delete

# Source maps, and the comments that name them: collecting static files fails where one names a file that is not there.
find . -name '*.map' -delete
find . \( -name '*.js' -o -name '*.css' \) -exec grep -l '^/[/*]# sourceMappingURL=' {} + |
    xargs -r sed -i -E 's,^/[/*]# sourceMappingURL=[^*]*(\*/)?$,,'

find . -type d \( -name tests -o -name __pycache__ \) -prune -exec rm -rf {} +
find . -name '*.pyi' -delete
find . -name '*.so*' -type f -exec strip --strip-unneeded {} + 2>/dev/null || true
rm -rf pip pip-*.dist-info setuptools setuptools-*.dist-info pkg_resources _distutils_hack distutils-precedence.pth "$1"/bin/pip*
