//! DICOM files without persons: PS3.15, Annex E.
