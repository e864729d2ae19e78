"""Stores instances by dicomweb-client, searches them at every level, and compares what is found with what was sent.

usage: dicomweb.py URL

It prints how many searches agreed.
"""

import sys
import time

from dicomweb_client.api import DICOMwebClient
from pydicom.dataset import Dataset

from radiographs import DX, ROOT, sent

PATIENCE = 240
# What a result says as the instance does, level by level.
STUDY = ["PatientName", "PatientID", "PatientBirthDate", "PatientSex", "StudyInstanceUID", "StudyDate", "StudyTime",
         "AccessionNumber", "StudyID", "ReferringPhysicianName"]
SERIES = [*STUDY, "Modality", "SeriesInstanceUID", "SeriesNumber"]
INSTANCE = [*SERIES, "SOPClassUID", "SOPInstanceUID", "InstanceNumber", "Rows", "Columns", "BitsAllocated"]


# Filters, and what they mean of an instance.
SEARCHES = [
    ({}, lambda it: True),
    ({"PatientID": "4711"}, lambda it: it.PatientID == "4711"),
    ({"PatientName": "muster*"}, lambda it: it.PatientID == "4711"),
    ({"PatientName": "MULLER^J?RG"}, lambda it: it.PatientID == "4712"),
    ({"PatientSex": "M"}, lambda it: it.PatientSex == "M"),
    ({"PatientBirthDate": "19700101-19791231"}, lambda it: it.PatientID == "4711"),
    ({"StudyDate": "20240301"}, lambda it: it.StudyDate == "20240301"),
    ({"StudyDate": "20240101-"}, lambda it: it.StudyDate >= "20240101"),
    ({"StudyDate": "-20240301"}, lambda it: it.StudyDate <= "20240301"),
    ({"StudyTime": "11-"}, lambda it: False),
    ({"AccessionNumber": "A-?"}, lambda it: it.AccessionNumber[0] == "A"),
    ({"ReferringPhysicianName": "Ärztin^ANNA", "StudyID": "2"}, lambda it: it.StudyID == "2"),
    ({"StudyInstanceUID": f"{ROOT}.1,{ROOT}.3"}, lambda it: it.StudyInstanceUID in (f"{ROOT}.1", f"{ROOT}.3")),
    ({"SeriesInstanceUID": f"{ROOT}.2.2"}, lambda it: it.SeriesInstanceUID == f"{ROOT}.2.2"),
    ({"SOPInstanceUID": f"{ROOT}.2.1.2"}, lambda it: it.SOPInstanceUID == f"{ROOT}.2.1.2"),
    ({"SOPClassUID": str(DX)}, lambda it: it.SOPClassUID == DX),
    ({"SeriesNumber": "2"}, lambda it: it.SeriesNumber == 2),
    ({"InstanceNumber": "2"}, lambda it: it.InstanceNumber == 2),
    ({"Columns": "66"}, lambda it: it.Columns == 66),
    ({"PatientID": "4711", "StudyDate": "20250105"}, lambda it: False),
]


def check(said, attributes, instance):
    for keyword in attributes:
        found, wanted = said.get(keyword), instance.get(keyword)
        assert found == wanted, f"{keyword} is {found!r}, and {wanted!r} was sent"


def compare(results, instances, uid, attributes, counts):
    """Whether the results are those of the instances: the same, as often, and with what was sent."""
    results = [Dataset.from_json(result) for result in results]
    found, wanted = [getattr(it, uid) for it in results], {getattr(it, uid) for it in instances}
    assert len(found) == len(wanted) and set(found) == wanted, f"{found} instead of {sorted(wanted)}"
    dates = [it.StudyDate for it in results]
    assert dates == sorted(dates, reverse=True), "the newest study comes first"
    for said in results:
        same = [it for it in sent() if getattr(it, uid) == getattr(said, uid)]
        check(said, attributes, same[0])
        of_study = [it for it in sent() if it.StudyInstanceUID == said.StudyInstanceUID]
        modalities = said.ModalitiesInStudy
        modalities = {modalities} if isinstance(modalities, str) else set(modalities)
        assert modalities == {it.Modality for it in of_study}
        assert said.NumberOfStudyRelatedInstances == len(of_study)
        assert said.NumberOfStudyRelatedSeries == len({it.SeriesInstanceUID for it in of_study})
        assert counts is None or said.get(counts) == len(same)


def main():
    client = DICOMwebClient(sys.argv[1])
    client.store_instances(sent())
    began = time.monotonic()
    while len(client.search_for_instances()) < len(sent()):
        assert time.monotonic() - began < PATIENCE, "not all are found"
        time.sleep(0.2)

    study, series, sop = "StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID"
    levels = [
        (client.search_for_studies, study, STUDY, "NumberOfStudyRelatedInstances"),
        (client.search_for_series, series, SERIES, "NumberOfSeriesRelatedInstances"),
        (client.search_for_instances, sop, INSTANCE, None),
    ]
    agreed = 0
    for search, uid, attributes, counts in levels:
        for filters, means in SEARCHES:
            wanted = [it for it in sent() if means(it)]
            try:
                compare(search(search_filters=filters), wanted, uid, attributes, counts)
                # Page by page, one result at a time.
                paged = search(search_filters=filters, limit=1, get_remaining=True)
                compare(paged, wanted, uid, attributes, counts)
            except AssertionError as error:
                raise AssertionError(f"{uid} by {filters}: {error}") from error
            agreed += 1

    # Within a study, and within a series.
    within = f"{ROOT}.2"
    of_study = [it for it in sent() if it.StudyInstanceUID == within]
    of_series = [it for it in of_study if it.SeriesInstanceUID == f"{within}.1"]
    compare(client.search_for_series(within), of_study, series, SERIES, "NumberOfSeriesRelatedInstances")
    compare(client.search_for_instances(within), of_study, sop, INSTANCE, None)
    compare(client.search_for_instances(within, f"{within}.1"), of_series, sop, INSTANCE, None)
    # What is asked for further.
    [said] = client.search_for_instances(search_filters={sop: f"{within}.2.1"}, fields=["ViewPosition", "BodyPartExamined"])
    check(Dataset.from_json(said), ["ViewPosition", "BodyPartExamined"], of_study[-1])
    print(agreed)


main()
