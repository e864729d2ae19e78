"""Tries the Python client that openapi-python-client makes of the API document.

usage: try.py BASE TOKEN IMAGE FILE

IMAGE is an image with a result. Uploads FILE, gives a verdict on IMAGE, asks for what is not there, and prints as JSON what
the server said, read through the client's own models.
"""

import json
import pathlib
import sys

from generated_client import AuthenticatedClient
from generated_client.api.images import (
    get_images, get_images_by_id, get_images_by_id_verdicts, post_images,
    post_images_by_id_verdicts)
from generated_client.api.people import get_session
from generated_client.models import ImageItem, LabelWord, Lane, OpinionWord, Problem, ReceiveForm, VerdictBody
from generated_client.types import File


def main():
    base, token, image, file = sys.argv[1:]
    client = AuthenticatedClient(base_url=base, token=token)

    session = get_session.sync(client=client)
    page = get_images.sync(client=client, limit=1)
    second = get_images.sync(client=client, limit=1, after=page.next_)
    item = get_images_by_id.sync(image, client=client)
    assert isinstance(item, ImageItem), item
    body = VerdictBody(opinion=OpinionWord.DISAGREE, label=LabelWord.NORMAL,
                       model_version=item.result.model.version, displayed=["picture"])
    verdict = post_images_by_id_verdicts.sync(image, client=client, body=body)
    verdicts = get_images_by_id_verdicts.sync(image, client=client)

    with pathlib.Path(file).open("rb") as payload:
        form = ReceiveForm(file=File(payload, "film.jpg", "image/jpeg"), patient_id="4711")
        receipt = post_images.sync(client=client, body=form, site="north", priority=Lane.STAT)
    problem = get_images_by_id.sync("00000000-0000-0000-0000-000000000000", client=client)
    assert isinstance(problem, Problem), problem

    print(json.dumps({
        "grants": session.grants,
        "uploaded": str(receipt.id),
        "label": item.result.label.value,
        "status": item.status.value,
        "verdict": verdict.opinion.value,
        "verdicts": [said.label.value for said in verdicts.items],
        "pages": [str(page.items[0].id), str(second.items[0].id)],
        "problem": problem.type_,
    }))


if __name__ == "__main__":
    main()
