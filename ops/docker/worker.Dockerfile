# The role worker, and every command that needs the network: with libtorch for the CPU.
#   docker build -f ops/docker/worker.Dockerfile -t lobar-worker:0.1.0 .

FROM rust:1.95-bookworm AS build
RUN apt-get update \
    && apt-get install -y --no-install-recommends cmake g++ python3 python3-venv \
    && rm -rf /var/lib/apt/lists/*
WORKDIR /src
# libtorch first: it changes seldom and takes longest.
ENV LOBAR_CACHE=/cache
COPY ops/setup ops/setup
RUN sh ops/setup/prepare.sh build
COPY . .
RUN cargo build --locked --release -p lobar
# As an installed copy lies: bin/lobar finds ../lib and ../share/lobar by itself.
RUN mkdir -p /out/bin /out/lib /out/share/lobar \
    && cp target/release/lobar ops/docker/healthcheck.sh /out/bin/ \
    && cp -L .libtorch/lib/*.so* /out/lib/ \
    && rm -f /out/lib/libtorch.so /out/lib/libgomp.so \
    && cp model/weights/lobar-resnet50.safetensors /out/share/lobar/

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
HEALTHCHECK --interval=5s --timeout=5s --start-period=120s --retries=3 \
    CMD ["/usr/local/bin/healthcheck.sh", "9464", "readyz"]
ENTRYPOINT ["/usr/local/bin/lobar"]
CMD ["run", "--roles", "worker"]
