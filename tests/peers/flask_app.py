"""A page of Flask that answers one image a request, as the originating notebooks serve theirs.

usage: flask_app.py NETWORK FOLDER --store DSN --port N [--threads N]

POST /predict with a file's bytes: its row is committed before the answer goes out.
"""

import argparse
import io
import queue
import uuid

import flask
import numpy
import psycopg

import networks


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("network")
    parser.add_argument("folder")
    parser.add_argument("--store", required=True)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--threads", type=int, default=1)
    arguments = parser.parse_args()
    infer = networks.load(arguments.network, arguments.folder, arguments.threads)
    infer(numpy.zeros((1, 1, networks.SIDE, networks.SIDE), numpy.float32))
    # The server has a thread for each request; connections outlive them.
    connections = queue.LifoQueue()
    for _ in range(16):
        connections.put(psycopg.connect(arguments.store))
    app = flask.Flask(__name__)

    @app.post("/predict")
    def predict():
        image = networks.picture(io.BytesIO(flask.request.data))
        probability = float(infer(image[None])[0])
        store = connections.get()
        try:
            store.execute("insert into answer (key, probability) values (%s, %s)", (str(uuid.uuid4()), probability))
            store.commit()
        finally:
            connections.put(store)
        return {"probability": probability}

    app.run("127.0.0.1", arguments.port, threaded=True)


if __name__ == "__main__":
    main()
