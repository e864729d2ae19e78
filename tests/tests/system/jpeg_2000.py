"""Compresses a DICOM file of 8 bits by OpenJPEG (as Pillow has it), without loss.

usage: jpeg_2000.py FILE INTO
"""

import io
import sys

import pydicom
from PIL import Image
from pydicom.encaps import encapsulate
from pydicom.uid import JPEG2000Lossless

image = pydicom.dcmread(sys.argv[1])
size = (image.Columns, image.Rows)
coded = io.BytesIO()
pixels = Image.frombytes("L", size, image.PixelData[: size[0] * size[1]])
pixels.save(coded, "JPEG2000", no_jp2=True, irreversible=False)
image.PixelData = encapsulate([coded.getvalue()])
image["PixelData"].VR = "OB"
image.file_meta.TransferSyntaxUID = JPEG2000Lossless
image.save_as(sys.argv[2])
