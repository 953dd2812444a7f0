# The server and its command line on Debian slim. ./dev image builds this without a daemon and checks what it promises.
FROM debian:bookworm-slim AS build
# What the base has already need not be copied into the image.
RUN dpkg-query -W -f '${Package}\n' > /base-packages
WORKDIR /src
COPY . .
RUN ./dev setup && ./dev build tapewired tapewire
RUN deploy/collect.sh /base-packages /image build/release/server/tapewired build/release/client/cli/tapewire

FROM debian:bookworm-slim
COPY --from=build /image/ /
USER 65532:65532
EXPOSE 8001 8002
HEALTHCHECK --interval=10s --timeout=3s --start-period=5s --retries=3 CMD ["tapewire", "status"]
ENTRYPOINT ["tapewired"]
CMD ["--grpc_address=0.0.0.0:8001", "--http_address=0.0.0.0:8002"]
