# One image for web, workers and the migration: `docker build -t canopy .`, then any command of `canopy --help`.
ARG BASE=docker.io/library/python:3.11-slim-bookworm

FROM ${BASE} AS build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1 PYTHONDONTWRITEBYTECODE=1
RUN apt-get update -qq && apt-get install -y -qq --no-install-recommends binutils >/dev/null && python3 -m venv /opt/canopy
COPY requirements.txt /source/
RUN /opt/canopy/bin/pip install --no-compile --require-hashes --no-deps --requirement /source/requirements.txt
COPY . /source
RUN /opt/canopy/bin/pip wheel --no-deps --wheel-dir /wheels /source \
    && /opt/canopy/bin/pip install --no-compile --no-deps /wheels/*.whl \
    && sh /source/docs/deployment/image/slim.sh /opt/canopy
ENV CANOPY_HOME=/tmp/home CANOPY_STATIC=/opt/canopy/static DJANGO_SETTINGS_MODULE=dashboard.settings
RUN PYTHONPYCACHEPREFIX=/opt/canopy/bytecode /opt/canopy/bin/python /source/docs/deployment/image/bytecode.py \
    && /opt/canopy/bin/canopy static \
    && chmod --recursive a+rX /opt/canopy

FROM ${BASE}
ARG VERSION=0
ARG REVISION=unknown
LABEL org.opencontainers.image.title="Canopy" \
      org.opencontainers.image.description="A web dashboard for fan-out executions on Temporal" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"
RUN groupadd --gid 10001 canopy \
    && useradd --uid 10001 --gid canopy --no-create-home --home-dir /var/lib/canopy --shell /usr/sbin/nologin canopy \
    && install --directory --owner canopy --group canopy --mode 0700 /var/lib/canopy
COPY --from=build /opt/canopy /opt/canopy
ENV PATH=/opt/canopy/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONPYCACHEPREFIX=/opt/canopy/bytecode \
    PYTHONUNBUFFERED=1 \
    CANOPY_HOME=/var/lib/canopy \
    CANOPY_STATIC=/opt/canopy/static \
    HOST=0.0.0.0 \
    PORT=8000
# What a process writes is below CANOPY_HOME and /tmp: the rest of the file system may be read-only.
VOLUME /var/lib/canopy
WORKDIR /var/lib/canopy
USER 10001:10001
EXPOSE 8000
HEALTHCHECK --interval=10s --timeout=5s --start-period=60s --retries=3 CMD ["canopy", "probe"]
ENTRYPOINT ["canopy"]
CMD ["web"]
