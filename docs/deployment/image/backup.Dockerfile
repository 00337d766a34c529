# The image with PostgreSQL's client programs, for `canopy backup` and `canopy restore`:
#   docker build -f docs/deployment/image/backup.Dockerfile --build-arg CANOPY=canopy:0.2.0 -t canopy-backup:0.2.0 docs/deployment/image
ARG CANOPY=canopy:latest

FROM ${CANOPY}
# The server's release or a newer one. What Debian does not have comes from PostgreSQL's own packages.
ARG POSTGRES=16
USER 0:0
RUN apt-get update -qq \
    && { apt-get install -y -qq --no-install-recommends "postgresql-client-${POSTGRES}" >/dev/null \
        || { apt-get install -y -qq --no-install-recommends postgresql-common >/dev/null \
            && /usr/share/postgresql-common/pgdg/apt.postgresql.org.sh -y \
            && apt-get install -y -qq --no-install-recommends "postgresql-client-${POSTGRES}" >/dev/null; }; } \
    && rm -rf /var/lib/apt/lists/*
USER 10001:10001
HEALTHCHECK NONE
CMD ["backup", "--help"]
