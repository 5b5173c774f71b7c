# One static binary and nothing else. Builds with the classic builder and with BuildKit:
#   docker build --tag localhost/cetusguard:0.1.0 .

FROM docker.io/library/rust:1.95-slim-bookworm AS build
WORKDIR /src
COPY Cargo.toml Cargo.lock ./
COPY .cargo .cargo
COPY crates crates
COPY bench bench
# Cargo writes below a folder named after the target, so that the glob serves every architecture.
RUN cargo build --locked --release -p cetusguard \
    && cp target/*/release/cetusguard /cetusguard

# The release's artefacts: docker build --target artefacts --output dist .
FROM build AS made
COPY scripts/artefacts /usr/local/bin/
RUN artefacts /cetusguard /artefacts

FROM scratch AS artefacts
COPY --from=made /artefacts /

FROM scratch
LABEL org.opencontainers.image.title="Cetusguard" \
      org.opencontainers.image.description="A filtering proxy in front of a container engine's API socket" \
      org.opencontainers.image.source="https://github.com/cetusguard/cetusguard" \
      org.opencontainers.image.licenses="MIT"
COPY --from=build /cetusguard /cetusguard
# Inside a container the loopback default would reach nobody. Publish this port to no one but its own network.
ENV CETUSGUARD_FRONTEND_ADDR=tcp://:2375
EXPOSE 2375
# The user is root because the engine's socket belongs to root:docker; compose/ takes every capability away.
# Any other user works once it has the socket's group:
#   docker run --user 65534:65534 --group-add "$(stat -c %g /var/run/docker.sock)" ...
HEALTHCHECK --interval=10s --timeout=6s --start-period=5s --retries=3 CMD ["/cetusguard", "healthcheck"]
ENTRYPOINT ["/cetusguard"]
