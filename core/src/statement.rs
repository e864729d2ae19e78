//! The statement of use that stands on every result. One place, versioned.

/// What the results are for, and for whom. Version 1.
pub const STATEMENT_OF_USE: &str = "Decision support for research; not for stand-alone diagnosis \
    or rule-out. The network was trained on frontal views of children aged 1 to 5 from one centre. \
    A clinician must view the image. (Statement 1)";
