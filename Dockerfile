# syntax=docker/dockerfile:1
# The agent as one static binary in an otherwise empty image. See docs/operations.md for how to run it.

FROM --platform=$BUILDPLATFORM golang:1.26 AS build
WORKDIR /src
COPY go.mod go.sum ./
RUN go mod download
COPY . .
ARG TARGETOS=linux
ARG TARGETARCH
# v6 for the smallest boards; empty for the others.
ARG TARGETVARIANT
ARG VERSION=dev
RUN CGO_ENABLED=0 GOOS=$TARGETOS GOARCH=$TARGETARCH GOARM=${TARGETVARIANT#v} \
    go build -trimpath -tags nethttpomithttp2 -ldflags "-s -w -X main.version=$VERSION" -o /out/fieldpost ./cmd/agent
# An empty image has no shell to make folders with.
RUN install -d -m 0700 /out/var/lib/fieldpost && install -d -m 0755 /out/etc/fieldpost

FROM scratch
COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/
COPY --from=build --chown=65532:65532 /out/ /
# Nobody's own number, as images without a user database use it.
USER 65532:65532
VOLUME /var/lib/fieldpost
# Healthy means connected: a device without coverage is shown as unhealthy, which is no reason to restart it.
HEALTHCHECK --interval=1m --timeout=10s --start-period=1m CMD ["/fieldpost", "status"]
ENTRYPOINT ["/fieldpost"]
CMD ["run"]
