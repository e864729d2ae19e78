"""Stores instances by dicomweb-client, and prints what the server answered.

usage: stow.py URL TOKEN
"""

import json
import sys

import numpy
import pydicom
import requests
from dicomweb_client.api import DICOMwebClient
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ComputedRadiographyImageStorage, ExplicitVRLittleEndian


def radiograph(number, study="1.2.3.1"):
    meta = FileMetaDataset()
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    meta.MediaStorageSOPClassUID = ComputedRadiographyImageStorage
    meta.MediaStorageSOPInstanceUID = f"1.2.3.4.{number}"
    image = Dataset()
    image.file_meta = meta
    image.SOPClassUID = ComputedRadiographyImageStorage
    image.SOPInstanceUID = f"1.2.3.4.{number}"
    image.StudyInstanceUID = study
    image.SeriesInstanceUID = f"{study}.1"
    image.PatientName = "Mustermann^Erika"
    image.PatientID = "4711"
    image.Modality = "CR"
    image.Rows = image.Columns = 64
    image.SamplesPerPixel = 1
    image.PhotometricInterpretation = "MONOCHROME2"
    image.BitsAllocated, image.BitsStored, image.HighBit = 16, 12, 11
    image.PixelRepresentation = 0
    image.PixelData = numpy.arange(64 * 64, dtype="<u2").tobytes()
    return image


def told(answer):
    uids = lambda items: [item.ReferencedSOPInstanceUID for item in items]
    return {
        "stored": uids(answer.get("ReferencedSOPSequence", [])),
        "failed": uids(answer.get("FailedSOPSequence", [])),
        "reasons": [item.FailureReason for item in answer.get("FailedSOPSequence", [])],
    }


def main():
    url, token = sys.argv[1:]
    client = DICOMwebClient(url, headers={"Authorization": f"Bearer {token}"})
    answers = {
        "one": told(client.store_instances([radiograph(1)])),
        "several": told(client.store_instances([radiograph(n) for n in (2, 3, 4)])),
        "again": told(client.store_instances([radiograph(1)])),
        "mixed": told(
            client.store_instances(
                [radiograph(5), radiograph(6, study="1.2.3.9")], study_instance_uid="1.2.3.1"
            )
        ),
    }
    try:
        client.store_instances([radiograph(7, study="1.2.3.9")], study_instance_uid="1.2.3.1")
    except requests.HTTPError as error:
        answers["none"] = error.response.status_code
    json.dump(answers, sys.stdout)


main()
