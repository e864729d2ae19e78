//! Codes that may stay: views and body parts of a chest X-ray (PS3.16, CID 4010 and 4031).

/// Value, coding scheme, meaning. The scheme `SRT`, and `SNM3` before it, is what SNOMED codes were written in until 2017.
pub(crate) const CODES: &[(&str, &str, &str)] = &[
    ("51185008", "SCT", "Chest"),
    ("T-D3000", "SRT", "Chest"),
    ("T-D3000", "SNM3", "Chest"),
    ("399348003", "SCT", "antero-posterior"),
    ("R-10206", "SRT", "antero-posterior"),
    ("R-10206", "SNM3", "antero-posterior"),
    ("272479007", "SCT", "postero-anterior"),
    ("R-10214", "SRT", "postero-anterior"),
    ("R-10214", "SNM3", "postero-anterior"),
    ("399173006", "SCT", "left lateral"),
    ("R-10236", "SRT", "left lateral"),
    ("R-10236", "SNM3", "left lateral"),
    ("399198007", "SCT", "right lateral"),
    ("R-10232", "SRT", "right lateral"),
    ("R-10232", "SNM3", "right lateral"),
    ("399067008", "SCT", "lateral"),
];
