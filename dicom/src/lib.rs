//! The DICOM role: C-ECHO and C-STORE in, storage commitment.
