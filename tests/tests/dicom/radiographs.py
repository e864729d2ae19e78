"""Instances of two patients, of several studies and series, for clients to store."""

import numpy
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ComputedRadiographyImageStorage as CR
from pydicom.uid import DigitalXRayImageStorageForPresentation as DX
from pydicom.uid import ExplicitVRLittleEndian

ROOT = "1.2.826.0.1.3680043.10.2"


def radiograph(study, series, number, **known):
    """An instance of 12 bits in MONOCHROME1, which is another picture for each number."""
    uid = f"{ROOT}.{study}.{series}.{number}"
    image = Dataset()
    # A file as archives have them: what is made in memory has neither of the two, and clients send it without.
    image.preamble = bytes(128)
    image.file_meta = FileMetaDataset()
    image.file_meta.FileMetaInformationGroupLength = 0
    image.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    image.file_meta.MediaStorageSOPClassUID = known["SOPClassUID"]
    image.file_meta.MediaStorageSOPInstanceUID = uid
    image.SpecificCharacterSet = "ISO_IR 192"
    image.SOPInstanceUID = uid
    image.StudyInstanceUID = f"{ROOT}.{study}"
    image.SeriesInstanceUID = f"{ROOT}.{study}.{series}"
    image.StudyID, image.SeriesNumber, image.InstanceNumber = str(study), series, number
    image.BodyPartExamined, image.ViewPosition = "CHEST", "PA"
    image.Rows, image.Columns = 80, 64 + 2 * number
    image.SamplesPerPixel, image.PhotometricInterpretation = 1, "MONOCHROME1"
    image.BitsAllocated, image.BitsStored, image.HighBit, image.PixelRepresentation = 16, 12, 11, 0
    pixels = numpy.arange(image.Rows * image.Columns) * (study * 100 + series * 10 + number)
    image.PixelData = (pixels % 4096).astype("<u2").tobytes()
    for keyword, value in known.items():
        setattr(image, keyword, value)
    return image


def sent():
    erika = {"PatientName": "Mustermann^Erika", "PatientID": "4711", "PatientBirthDate": "19700101", "PatientSex": "F"}
    joerg = {"PatientName": "Müller^Jörg", "PatientID": "4712", "PatientBirthDate": "19811224", "PatientSex": "M"}
    of = lambda date, number: {"StudyDate": date, "StudyTime": "101500", "AccessionNumber": number,
                               "ReferringPhysicianName": "Ärztin^Anna"}
    cr, dx = {"Modality": "CR", "SOPClassUID": CR}, {"Modality": "DX", "SOPClassUID": DX}
    # Newest study first, as it is answered.
    return [
        radiograph(3, 1, 1, **joerg, **of("20250105", "B-1"), **cr),
        radiograph(2, 1, 1, **erika, **of("20240301", "A-2"), **cr),
        radiograph(2, 1, 2, **erika, **of("20240301", "A-2"), **cr),
        radiograph(2, 2, 1, **erika, **of("20240301", "A-2"), **dx),
        radiograph(1, 1, 1, **erika, **of("20230601", "A-1"), **dx),
    ]
