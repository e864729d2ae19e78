"""The services that all contenders use: `ops/services.sh`, a bucket that announces nothing, and a queue for each
contender."""

import json
import os
import random
import shlex
import socket
import subprocess
import tempfile
import uuid
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import quote_plus

import boto3
import psycopg
from botocore.config import Config

CHECKOUT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
# RabbitMQ takes the two ports above its own as well.
PORTS = {"POSTGRES_PORT": 0, "REDIS_PORT": 1, "AWS_PORT": 2, "RABBITMQ_PORT": 3}
ALL_PORTS = 6


class Services:
    """Runs them; `with` ends them and removes what they hold."""

    bucket = "compared"

    def __enter__(self):
        self.folder = tempfile.mkdtemp(prefix="lobar-compared-")
        os.chmod(self.folder, 0o755)
        self.services = f"{self.folder}/services"
        first = first_free_port()
        self.script("start", **{name: str(first + after) for name, after in PORTS.items()})
        shown = subprocess.run(
            ["sh", "-c", f". {shlex.quote(self.services)}/settings; env -0"], check=True, capture_output=True
        ).stdout.decode()
        settings = dict(line.split("=", 1) for line in shown.split("\0") if "=" in line)
        self.environment = {name: value for name, value in settings.items() if name.startswith(("LOBAR_", "AWS_"))}
        endpoint = self.environment["LOBAR_S3_ENDPOINT"]
        self.environment["AWS_ENDPOINT_URL"] = endpoint
        os.environ.update({name: value for name, value in self.environment.items() if name.startswith("AWS_")})
        config = Config(max_pool_connections=16)
        self.s3 = boto3.client("s3", endpoint_url=endpoint, config=config)
        self.sqs = boto3.client("sqs", endpoint_url=endpoint, config=config)
        self.s3.create_bucket(Bucket=self.bucket)
        self.queues = 0
        return self

    def __exit__(self, *_):
        self.script("stop")
        subprocess.run(["rm", "-rf", self.folder], check=True)

    def script(self, what, **ports):
        command = ["sh", f"{CHECKOUT}/ops/services.sh", what, self.services]
        subprocess.run(command, check=True, env={**os.environ, **ports}, stdout=subprocess.DEVNULL)

    def new_queue(self):
        """The next events go to a queue of their own: the emulator may still hand some of the last one's to a contender
        that has ended while it waited for them."""
        self.queues += 1
        name = f"compared-{self.queues}"
        dead = self.make_queue(f"{name}-dead", {})
        arn = self.sqs.get_queue_attributes(QueueUrl=dead, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
        redrive = json.dumps({"deadLetterTargetArn": arn, "maxReceiveCount": "50"})
        self.queue_url = self.make_queue(name, {"ReceiveMessageWaitTimeSeconds": "20", "RedrivePolicy": redrive})
        self.uploads = f"sqs://{name}?endpoint={self.environment['LOBAR_S3_ENDPOINT']}"

    def make_queue(self, name, attributes):
        attributes = {"MessageRetentionPeriod": "604800", **attributes}
        return self.sqs.create_queue(QueueName=name, Attributes=attributes)["QueueUrl"]

    def free_port(self):
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            return probe.getsockname()[1]

    def database(self, name):
        """A database of this name, empty, as a URL."""
        store = self.environment["LOBAR_STORE"]
        with psycopg.connect(store, autocommit=True) as server:
            server.execute(f'drop database if exists "{name}" with (force)')
            server.execute(f'create database "{name}"')
        return store.rsplit("/", 1)[0] + "/" + name

    def put(self, files, number, stat=False):
        """Stores so many objects under keys that no run had before; the events that announce them."""
        run = uuid.uuid4()
        metadata = {"priority": "stat"} if stat else {}

        def one(n):
            key = f"incoming/compared/{run}/{n}.jpeg"
            answer = self.s3.put_object(Bucket=self.bucket, Key=key, Body=files[n % len(files)], Metadata=metadata)
            return event(self.bucket, key, len(files[n % len(files)]), answer["ETag"].strip('"'), n)

        with ThreadPoolExecutor(4) as pool:
            return list(pool.map(one, range(number)))

    def send(self, events):
        with ThreadPoolExecutor(4) as pool:
            list(pool.map(self.send_ten, [events[at : at + 10] for at in range(0, len(events), 10)]))

    def send_ten(self, events):
        entries = [{"Id": str(i), "MessageBody": body} for i, body in enumerate(events)]
        answer = self.sqs.send_message_batch(QueueUrl=self.queue_url, Entries=entries)
        if answer.get("Failed"):
            raise RuntimeError(f"the queue refused events: {answer['Failed']}")

    def forget(self):
        """Removes every stored object, so that the emulator's memory stays what it is."""
        pages = self.s3.get_paginator("list_objects_v2").paginate(Bucket=self.bucket)
        for page in pages:
            keys = [{"Key": item["Key"]} for item in page.get("Contents", [])]
            if keys:
                self.s3.delete_objects(Bucket=self.bucket, Delete={"Objects": keys})


def event(bucket, key, size, etag, number):
    """What S3 says of one new object."""
    stored = {"key": quote_plus(key, safe="/"), "size": size, "eTag": etag, "sequencer": f"{number:016X}"}
    record = {
        "eventVersion": "2.1",
        "eventSource": "aws:s3",
        "eventName": "ObjectCreated:Put",
        "s3": {"bucket": {"name": bucket}, "object": stored},
    }
    return json.dumps({"Records": [record]})


def first_free_port():
    """A port that is free, and so are those that follow it. None of them is one that connections are given."""
    while True:
        first = random.randrange(20_000, 30_000)
        try:
            for port in range(first, first + ALL_PORTS):
                with socket.socket() as probe:
                    probe.bind(("127.0.0.1", port))
            return first
        except OSError:
            continue
