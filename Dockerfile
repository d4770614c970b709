# One image for every process: `docker run … bisync-topology producer east`. See docker-compose.yml.
FROM python:3.13-slim AS build
WORKDIR /src
COPY constraints.txt ./
RUN python -m venv /opt/bisync && pip install --no-cache-dir --constraint constraints.txt uv
COPY pyproject.toml README.md LICENSE ./
COPY bisync_topology bisync_topology
COPY producers producers
COPY consumers consumers
COPY initialization initialization
COPY recovery recovery
COPY verification verification
COPY schemas schemas
COPY sandbox sandbox
RUN uv pip install --no-cache --python /opt/bisync/bin/python . \
      --constraints constraints.txt --build-constraints constraints.txt

FROM python:3.13-slim
RUN useradd --system --uid 10001 --no-create-home bisync
COPY --from=build /opt/bisync /opt/bisync
COPY --chmod=755 docker/healthcheck.py /opt/bisync/bin/healthcheck
ENV PATH=/opt/bisync/bin:$PATH PYTHONUNBUFFERED=1
USER bisync
ENTRYPOINT ["bisync-topology"]
CMD ["--help"]
