"""A careful consumer of an uploads queue, as a Python team would write it: one process, several of which may run.

usage: consumer.py NETWORK FOLDER --queue URL --store DSN [--threads N] [--batch N]

Long polls; fetches and decodes in threads while the network computes; takes what is ready as a batch; commits a batch's
rows in one transaction, and deletes the messages only then. In one respect it does less than Lobar: it looks at no damage,
no duplicate and no priority, keeps no record, and tells nobody.
"""

import argparse
import io
import json
import os
import queue
import threading
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import unquote_plus

import boto3
import numpy
import psycopg
from botocore.config import Config

import networks


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("network")
    parser.add_argument("folder")
    parser.add_argument("--queue", required=True)
    parser.add_argument("--store", required=True)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--batch", type=int, default=16)
    arguments = parser.parse_args()
    Consumer(arguments).run()


class Consumer:
    def __init__(self, arguments):
        self.batch = arguments.batch
        self.queue = arguments.queue
        self.infer = networks.load(arguments.network, arguments.folder, arguments.threads)
        # A compiled network has one size of batch.
        self.whole = arguments.network == "torch-bf16"
        endpoint = os.environ["AWS_ENDPOINT_URL"]
        config = Config(max_pool_connections=16, tcp_keepalive=True)
        self.sqs = boto3.client("sqs", endpoint_url=endpoint, config=config)
        self.s3 = boto3.client("s3", endpoint_url=endpoint, config=config)
        self.store = psycopg.connect(arguments.store)
        self.fetchers = ThreadPoolExecutor(4)
        self.ready = queue.Queue()
        # What is fetched and not answered yet.
        self.room = threading.Semaphore(3 * self.batch)

    def run(self):
        self.answer([("warm", None, numpy.zeros((1, networks.SIDE, networks.SIDE), numpy.float32))] * self.batch)
        if not self.whole:
            self.answer([("warm", None, numpy.zeros((1, networks.SIDE, networks.SIDE), numpy.float32))])
        threading.Thread(target=self.receive, daemon=True).start()
        print("ready", flush=True)
        while True:
            items = [self.ready.get()]
            while len(items) < self.batch:
                try:
                    items.append(self.ready.get_nowait())
                except queue.Empty:
                    break
            self.commit(items, self.answer(items))
            self.room.release(len(items))

    def receive(self):
        while True:
            for _ in range(10):
                self.room.acquire()
            got = self.sqs.receive_message(QueueUrl=self.queue, MaxNumberOfMessages=10, WaitTimeSeconds=20)
            messages = got.get("Messages", [])
            for _ in range(10 - len(messages)):
                self.room.release()
            for message in messages:
                self.fetchers.submit(self.fetch, message)

    def fetch(self, message):
        try:
            (record,) = json.loads(message["Body"])["Records"]
            key = unquote_plus(record["s3"]["object"]["key"])
            body = self.s3.get_object(Bucket=record["s3"]["bucket"]["name"], Key=key)["Body"].read()
            self.ready.put((key, message["ReceiptHandle"], networks.picture(io.BytesIO(body))))
        except Exception as error:  # It comes back when its visibility ends.
            self.room.release()
            print(f"consumer: an image could not be read ({error}); the queue gives it again", flush=True)

    def answer(self, items):
        images = numpy.stack([image for _, _, image in items])
        if self.whole and len(items) not in (1, self.batch):
            filled = numpy.zeros((self.batch - len(items), *images.shape[1:]), numpy.float32)
            return self.infer(numpy.concatenate([images, filled]))[: len(items)]
        return self.infer(images)

    def commit(self, items, answers):
        rows = [(key, float(probability)) for (key, _, _), probability in zip(items, answers)]
        with self.store.cursor() as cursor:
            cursor.executemany("insert into answer (key, probability) values (%s, %s) on conflict do nothing", rows)
        self.store.commit()
        handles = [receipt for _, receipt, _ in items]
        for first in range(0, len(handles), 10):
            self.fetchers.submit(self.delete, handles[first : first + 10])

    def delete(self, handles):
        entries = [{"Id": str(i), "ReceiptHandle": handle} for i, handle in enumerate(handles)]
        self.sqs.delete_message_batch(QueueUrl=self.queue, Entries=entries)


if __name__ == "__main__":
    main()
