# The roles ingest and api, and the commands migrate and doctor: without libtorch, so small and quick to build.
#   docker build -f ops/docker/node.Dockerfile -t lobar-node:0.1.0 .

FROM rust:1.95-bookworm AS build
RUN apt-get update \
    && apt-get install -y --no-install-recommends cmake g++ \
    && rm -rf /var/lib/apt/lists/*
WORKDIR /src
COPY . .
# Nothing of this build may look for libtorch.
ENV LIBTORCH=/nowhere
# Every adapter; `--features sqs,postgres,redis` is what AWS needs.
RUN cargo build --locked --release -p lobar --no-default-features --features node
RUN mkdir -p /out/bin && cp target/release/lobar ops/docker/healthcheck.sh /out/bin/

FROM debian:bookworm-slim
RUN apt-get update \
    && apt-get install -y --no-install-recommends bash ca-certificates libstdc++6 \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --system --uid 10001 --home-dir /var/lib/lobar --create-home lobar
COPY --from=build /out /usr/local
USER 10001:10001
WORKDIR /var/lib/lobar
ENV LOBAR_DATA=/var/lib/lobar \
    LOBAR_LOG_FORMAT=json \
    LOBAR_METRICS_LISTEN=0.0.0.0:9464
EXPOSE 9464
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=5s --timeout=5s --start-period=30s --retries=3 \
    CMD ["/usr/local/bin/healthcheck.sh", "9464", "readyz"]
ENTRYPOINT ["/usr/local/bin/lobar"]
CMD ["run", "--roles", "ingest,api"]
