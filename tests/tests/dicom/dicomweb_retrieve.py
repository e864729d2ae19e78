"""Stores instances by dicomweb-client, and retrieves them, their attributes, frames and pictures.

usage: dicomweb_retrieve.py URL

It prints how many instances came back as they were sent.
"""

import io
import sys
import time
from urllib.parse import urlsplit

import numpy
import requests
from dicomweb_client.api import DICOMwebClient
from PIL import Image
from pydicom.dataset import Dataset
from pydicom.uid import RLELossless

from radiographs import ROOT, radiograph, sent

PATIENCE = 240
AS_STORED = (("application/dicom", "*"),)


def compressed():
    """An instance of the third study, by RLE."""
    [like] = [it for it in sent() if it.StudyInstanceUID == f"{ROOT}.3"]
    known = {it.keyword: it.value for it in like if it.keyword in (
        "PatientName", "PatientID", "PatientBirthDate", "PatientSex", "StudyDate", "StudyTime", "AccessionNumber",
        "ReferringPhysicianName", "Modality", "SOPClassUID")}
    image = radiograph(3, 1, 2, **known)
    image.compress(RLELossless, generate_instance_uid=False)
    return image


def place(instance):
    return instance.StudyInstanceUID, instance.SeriesInstanceUID, instance.SOPInstanceUID


def same(found, instance):
    """Whether an instance is the one that was sent, whatever the form of its bytes."""
    assert found.file_meta.TransferSyntaxUID == instance.file_meta.TransferSyntaxUID
    # The names of letters are the same text in any encoding.
    assert Dataset(found) == Dataset(instance), f"{found}\n\n{instance}"


def told(metadata, instance):
    """Whether attributes are those that were sent; pixels are left out."""
    data_set = Dataset.from_json(metadata, bulk_data_uri_handler=lambda uri: uri.encode())
    for element in instance:
        if element.keyword != "PixelData":
            assert data_set[element.tag].value == element.value, f"{data_set[element.tag]} instead of {element}"


def drawn(picture, instance):
    """Whether a picture is that of the pixels: MONOCHROME1, without a window, so where they are great it is dark."""
    stored = numpy.frombuffer(instance.PixelData, "<u2").reshape(instance.Rows, instance.Columns)
    seen = numpy.asarray(Image.open(io.BytesIO(picture)).convert("L"))
    assert seen.shape == stored.shape
    likeness = numpy.corrcoef(stored.ravel(), seen.ravel().astype(float))[0, 1]
    assert likeness < -0.99, f"{likeness}"


def check_urls(answer, instances):
    """Whether all are had from the addresses that the answer to storing names."""
    urls = {item.ReferencedSOPInstanceUID: item.RetrieveURL for item in answer.ReferencedSOPSequence}
    assert set(urls) == {it.SOPInstanceUID for it in instances}
    for uid, url in urls.items():
        [metadata] = requests.get(f"{url}/metadata", timeout=60).json()
        assert metadata["00080018"]["Value"] == [uid]


def main():
    client = DICOMwebClient(sys.argv[1])
    # It leaves the port out of `Host`, and addresses in answers are those of the host that was asked for.
    client.host = urlsplit(sys.argv[1]).netloc
    plain, packed = sent(), compressed()
    several = client.store_instances(plain)
    one = client.store_instances([packed])
    began = time.monotonic()
    while len(client.search_for_instances()) < len(plain) + 1:
        assert time.monotonic() - began < PATIENCE, "not all are found"
        time.sleep(0.2)

    check_urls(several, plain)
    check_urls(one, [packed])
    assert "RetrieveURL" not in several or not several.RetrieveURL, "they are of several studies"
    of_study = requests.get(f"{one.RetrieveURL}/metadata", timeout=60).json()
    assert len(of_study) == 2

    for instance in plain:
        same(client.retrieve_instance(*place(instance)), instance)
        same(client.retrieve_instance(*place(instance), media_types=AS_STORED), instance)
        told(client.retrieve_instance_metadata(*place(instance)), instance)
        [frame] = client.retrieve_instance_frames(*place(instance), frame_numbers=[1])
        assert frame == instance.PixelData
        drawn(client.retrieve_instance_rendered(*place(instance), media_types=("image/png",)), instance)
    same(client.retrieve_instance(*place(packed), media_types=AS_STORED), packed)
    told(client.retrieve_instance_metadata(*place(packed)), packed)
    rle = (("image/dicom-rle", str(RLELossless)),)
    [frame] = client.retrieve_instance_frames(*place(packed), frame_numbers=[1], media_types=rle)
    assert frame in packed.PixelData

    # Of a series, and of a study.
    within = [it for it in plain if it.StudyInstanceUID == f"{ROOT}.2"]
    series = [it for it in within if it.SeriesInstanceUID == f"{ROOT}.2.1"]
    for found, wanted in [
        (client.retrieve_study(f"{ROOT}.2"), within),
        (client.retrieve_series(f"{ROOT}.2", f"{ROOT}.2.1"), series),
        (list(client.iter_study(f"{ROOT}.2", media_types=AS_STORED)), within),
    ]:
        assert len(found) == len(wanted)
        by_uid = {it.SOPInstanceUID: it for it in found}
        for instance in wanted:
            same(by_uid[instance.SOPInstanceUID], instance)
    assert len(client.retrieve_study_metadata(f"{ROOT}.2")) == len(within)
    assert len(client.retrieve_series_metadata(f"{ROOT}.2", f"{ROOT}.2.1")) == len(series)
    print(len(plain) + 1)


main()
