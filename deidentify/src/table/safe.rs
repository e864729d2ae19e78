//! What an image needs to be shown and measured, and what names nobody (PS3.3: general, CR, DX and SC image modules).

use dicom_core::Tag;
use dicom_dictionary_std::tags;

use super::Otherwise::{Emptied, Removed};
use super::Rule::{self, Codes, Items, LookupTable, Number, Pixels, Text};
use crate::form::Form::{Counter, Direction, Number as Digits, StandardUid, Terms, Whole};

const YES_NO: Rule = Text(Terms(&["YES", "NO"]), Removed);
const DIGITS: Rule = Text(Digits, Removed);
const WHOLE: Rule = Text(Whole, Removed);
const COUNTER: Rule = Text(Counter, Removed);

/// PS3.3, C.11.1 and C.11.2.
const LOOKUP: &[(Tag, Rule)] = &[
    (tags::LUT_DESCRIPTOR, Number),
    (tags::MODALITY_LUT_TYPE, Text(Terms(&["OD", "HU", "US"]), Emptied)),
    (tags::LUT_DATA, LookupTable),
];

/// An attribute, and what stays of it.
pub const SAFE: &[(Tag, Rule)] = &[
    (
        tags::IMAGE_TYPE,
        Text(Terms(&["ORIGINAL", "DERIVED", "PRIMARY", "SECONDARY", "POST_PROCESSED"]), Removed),
    ),
    (tags::SOP_CLASS_UID, Text(StandardUid, Removed)),
    (tags::MODALITY, Text(Terms(&["CR", "DX", "RG", "OT", "SC"]), Removed)),
    (
        tags::CONVERSION_TYPE,
        Text(Terms(&["DV", "DI", "DF", "WSD", "SD", "SI", "DRW", "SYN"]), Removed),
    ),
    (tags::PRESENTATION_INTENT_TYPE, Text(Terms(&["FOR PRESENTATION", "FOR PROCESSING"]), Removed)),
    // Type 2. The standard lets it stand; a text that anybody could have written anything into does not.
    (tags::MANUFACTURER, Rule::Empty),
    (tags::ANATOMIC_REGION_SEQUENCE, Codes),
    (
        tags::BODY_PART_EXAMINED,
        Text(
            Terms(&[
                "CHEST",
                "THORAX",
                "LUNG",
                "RIB",
                "RIBS",
                "STERNUM",
                "CLAVICLE",
                "SHOULDER",
                "TSPINE",
                "SPINE",
                "CSPINE",
                "LSPINE",
                "NECK",
                "ABDOMEN",
                "PELVIS",
                "HIP",
                "SKULL",
                "HEAD",
                "HAND",
                "WRIST",
                "ELBOW",
                "KNEE",
                "ANKLE",
                "FOOT",
                "ARM",
                "LEG",
                "EXTREMITY",
                "WHOLEBODY",
            ]),
            Emptied,
        ),
    ),
    (tags::KVP, DIGITS),
    (tags::SPATIAL_RESOLUTION, DIGITS),
    (tags::DISTANCE_SOURCE_TO_DETECTOR, DIGITS),
    (tags::DISTANCE_SOURCE_TO_PATIENT, DIGITS),
    (tags::ESTIMATED_RADIOGRAPHIC_MAGNIFICATION_FACTOR, DIGITS),
    (tags::FIELD_OF_VIEW_SHAPE, Text(Terms(&["RECTANGLE", "ROUND", "HEXAGONAL"]), Removed)),
    (tags::FIELD_OF_VIEW_DIMENSIONS, WHOLE),
    (tags::FIELD_OF_VIEW_ROTATION, DIGITS),
    (tags::FIELD_OF_VIEW_HORIZONTAL_FLIP, YES_NO),
    (tags::EXPOSURE_TIME, WHOLE),
    (tags::X_RAY_TUBE_CURRENT, WHOLE),
    (tags::EXPOSURE, WHOLE),
    (tags::EXPOSURE_INU_AS, WHOLE),
    (tags::IMAGE_AND_FLUOROSCOPY_AREA_DOSE_PRODUCT, DIGITS),
    (tags::IMAGER_PIXEL_SPACING, DIGITS),
    (
        tags::GRID,
        Text(Terms(&["FIXED", "FOCUSED", "RECIPROCATING", "PARALLEL", "CROSSED", "NONE"]), Removed),
    ),
    (tags::FOCAL_SPOTS, DIGITS),
    (
        tags::VIEW_POSITION,
        Text(Terms(&["AP", "PA", "LL", "RL", "RLD", "LLD", "RLO", "LLO", "LAT"]), Emptied),
    ),
    (tags::CASSETTE_ORIENTATION, Text(Terms(&["LANDSCAPE", "PORTRAIT"]), Removed)),
    (tags::EXPOSURES_ON_PLATE, WHOLE),
    (tags::RELATIVE_X_RAY_EXPOSURE, WHOLE),
    (tags::EXPOSURE_INDEX, DIGITS),
    (tags::TARGET_EXPOSURE_INDEX, DIGITS),
    (tags::DEVIATION_INDEX, DIGITS),
    (tags::SENSITIVITY, DIGITS),
    (tags::DETECTOR_TYPE, Text(Terms(&["DIRECT", "SCINTILLATOR", "STORAGE", "FILM"]), Emptied)),
    (tags::DETECTOR_CONFIGURATION, Text(Terms(&["AREA", "SLOT"]), Removed)),
    (tags::DETECTOR_ACTIVE_SHAPE, Text(Terms(&["RECTANGLE", "ROUND", "HEXAGONAL"]), Removed)),
    (tags::POSITIONER_TYPE, Text(Terms(&["NONE", "CARM", "COLUMN"]), Emptied)),
    (tags::SERIES_NUMBER, COUNTER),
    (tags::ACQUISITION_NUMBER, COUNTER),
    (tags::INSTANCE_NUMBER, COUNTER),
    (tags::PATIENT_ORIENTATION, Text(Direction, Emptied)),
    (tags::LATERALITY, Text(Terms(&["L", "R", "U", "B"]), Emptied)),
    (tags::IMAGE_LATERALITY, Text(Terms(&["L", "R", "U", "B"]), Removed)),
    (tags::SAMPLES_PER_PIXEL, Number),
    (
        tags::PHOTOMETRIC_INTERPRETATION,
        Text(
            Terms(&[
                "MONOCHROME1",
                "MONOCHROME2",
                "RGB",
                "YBR_FULL",
                "YBR_FULL_422",
                "YBR_ICT",
                "YBR_RCT",
            ]),
            Removed,
        ),
    ),
    (tags::PLANAR_CONFIGURATION, Number),
    (tags::NUMBER_OF_FRAMES, WHOLE),
    (tags::ROWS, Number),
    (tags::COLUMNS, Number),
    (tags::PIXEL_SPACING, DIGITS),
    (tags::PIXEL_ASPECT_RATIO, WHOLE),
    (tags::BITS_ALLOCATED, Number),
    (tags::BITS_STORED, Number),
    (tags::HIGH_BIT, Number),
    (tags::PIXEL_REPRESENTATION, Number),
    (tags::SMALLEST_IMAGE_PIXEL_VALUE, Number),
    (tags::LARGEST_IMAGE_PIXEL_VALUE, Number),
    (tags::PIXEL_PADDING_VALUE, Number),
    (tags::PIXEL_PADDING_RANGE_LIMIT, Number),
    (tags::BURNED_IN_ANNOTATION, YES_NO),
    (tags::RECOGNIZABLE_VISUAL_FEATURES, YES_NO),
    (tags::PIXEL_SPACING_CALIBRATION_TYPE, Text(Terms(&["GEOMETRY", "FIDUCIAL"]), Removed)),
    (tags::PIXEL_INTENSITY_RELATIONSHIP, Text(Terms(&["LIN", "LOG", "DISP"]), Removed)),
    (tags::PIXEL_INTENSITY_RELATIONSHIP_SIGN, Number),
    (tags::WINDOW_CENTER, DIGITS),
    (tags::WINDOW_WIDTH, DIGITS),
    (tags::VOILUT_FUNCTION, Text(Terms(&["LINEAR", "LINEAR_EXACT", "SIGMOID"]), Removed)),
    (tags::RESCALE_INTERCEPT, DIGITS),
    (tags::RESCALE_SLOPE, DIGITS),
    (tags::RESCALE_TYPE, Text(Terms(&["OD", "HU", "US"]), Removed)),
    (tags::LOSSY_IMAGE_COMPRESSION, Text(Terms(&["00", "01"]), Removed)),
    (tags::LOSSY_IMAGE_COMPRESSION_RATIO, DIGITS),
    (
        tags::LOSSY_IMAGE_COMPRESSION_METHOD,
        Text(Terms(&["ISO_10918_1", "ISO_14495_1", "ISO_15444_1", "ISO_15444_15"]), Removed),
    ),
    (tags::MODALITY_LUT_SEQUENCE, Items(LOOKUP)),
    (tags::VOILUT_SEQUENCE, Items(LOOKUP)),
    (tags::VIEW_CODE_SEQUENCE, Codes),
    (tags::PRESENTATION_LUT_SHAPE, Text(Terms(&["IDENTITY", "INVERSE"]), Removed)),
    (tags::PIXEL_DATA, Pixels),
];
