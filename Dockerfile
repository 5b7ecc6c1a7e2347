# dvss, every role of it; a container's command says which (`gateway`, `processor dedup`, …).
# The version is that of rust-toolchain.toml, which stays outside: it asks for more than a build needs.
FROM rust:1.95.0-bookworm AS build
RUN apt-get update \
    && apt-get install --yes --no-install-recommends cmake libssl-dev pkg-config \
    && rm -rf /var/lib/apt/lists/*
WORKDIR /src
COPY . .
# Function names stay, for backtraces; line tables are most of the file.
RUN --mount=type=cache,target=/usr/local/cargo/registry \
    --mount=type=cache,target=/src/target \
    cargo build --release --locked \
    && strip --strip-debug -o /dvss target/release/dvss

FROM debian:12.12-slim
RUN apt-get update \
    && apt-get install --yes --no-install-recommends ca-certificates libssl3 \
    && rm -rf /var/lib/apt/lists/*
COPY --from=build /dvss /usr/local/bin/dvss
USER 10001:10001
# No HEALTHCHECK: `dvss topics apply` serves no probes. docker-compose.yml has one for each role that does.
ENTRYPOINT ["dvss"]
