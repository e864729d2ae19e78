# S3 and SQS for trials, and the AWS CLI that makes the bucket and the queues in it (ops/compose/setup.sh).
#   docker build -f ops/docker/emulator.Dockerfile -t lobar-emulator:0.1.0 .

FROM python:3.11-slim-bookworm
# Versions as in tests/requirements.txt, which is what they were tried with.
RUN pip install --no-cache-dir ministack==1.5.33 awscli==1.46.3 \
    && useradd --system --uid 10001 --home-dir /state --create-home emulator
COPY ops/compose/setup.sh /usr/local/bin/setup.sh
USER 10001:10001
WORKDIR /state
ENV SERVICES=s3,sqs \
    BIND_HOST=0.0.0.0 \
    GATEWAY_PORT=4566
EXPOSE 4566
HEALTHCHECK --interval=3s --timeout=3s --start-period=20s --retries=5 \
    CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:4566/_ministack/health', timeout=2)"]
CMD ["ministack"]
