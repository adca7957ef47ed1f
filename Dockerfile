# The gateway alone, in an image with nothing else: no shell, no packages. It is
# built without cgo, so the base is empty.
#
#   docker build -t sanctum-gateway --build-arg VERSION=$(git describe --tags --always) .
#   docker run -v sanctum:/data -p 127.0.0.1:9000:9000 sanctum-gateway
#
# The root file system may be read-only: the gateway writes below /data alone, and
# nothing there when store and blobs are elsewhere.

FROM --platform=$BUILDPLATFORM golang:1.26-bookworm AS build
WORKDIR /src
COPY go.mod go.sum ./
RUN go mod download
COPY . .
ARG VERSION=dev
ARG TARGETOS
ARG TARGETARCH
RUN CGO_ENABLED=0 GOOS=$TARGETOS GOARCH=$TARGETARCH \
	go build -trimpath -ldflags "-s -w -X main.version=$VERSION" -o /out/gateway ./cmd/gateway
# A named volume takes over owner and mode of the folder that it covers.
RUN mkdir -m 0700 /out/data

FROM scratch
ARG VERSION=dev
LABEL org.opencontainers.image.title="Sanctum Gateway" \
	org.opencontainers.image.description="S3 endpoint that seals objects before storage sees them" \
	org.opencontainers.image.version=$VERSION \
	org.opencontainers.image.licenses="Apache-2.0" \
	org.opencontainers.image.source="https://github.com/sanctum-storage/gateway"
COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/ca-certificates.crt
COPY --from=build /out/gateway /gateway
COPY --from=build --chown=65532:65532 /out/data /data

# A number, so that orchestrators can see that it is not root.
USER 65532:65532
WORKDIR /data
VOLUME /data

# Inside a container every interface is the container's own; publish ports with
# care, or set tls.cert_file and tls.key_file. The admin API stays on loopback:
# reach it with docker exec and /gateway tenant, user, accesskey or bucket.
ENV SANCTUM_DATA=/data \
	SANCTUM_S3_ADDRESS=:9000 \
	SANCTUM_METRICS_ADDRESS=:9002 \
	SANCTUM_ALLOW_INSECURE_PUBLIC=s3,metrics
EXPOSE 9000 9002

# /readyz of the gateway in this container, wherever metrics.address is.
HEALTHCHECK --interval=10s --timeout=5s --start-period=30s --retries=3 CMD ["/gateway", "health"]
STOPSIGNAL SIGTERM
ENTRYPOINT ["/gateway"]
CMD ["serve"]
