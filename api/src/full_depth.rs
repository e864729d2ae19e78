//! What goes with the pixels of an image: how they are windowed and measured.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use lobar_imaging::{Curve, FullDepth, Origin, Plane, Spacing, Window};
use serde::Serialize;

/// How the samples of an image are looked at and measured.
#[derive(Debug, Serialize)]
pub(crate) struct PixelsBody {
    /// The largest sample that is no mark on the film: 255, 4095, 65535.
    top: u16,
    /// `value = sample × slope + intercept` is the file's own number (PS3.3, C.11.1). Negative where low values are bright.
    slope: f32,
    /// The value of sample 0.
    intercept: f32,
    /// Windows to choose from; the picture is drawn with the first. Never empty.
    windows: Vec<WindowBody>,
    /// Distances between pixels, where the file says them.
    spacing: Option<SpacingBody>,
    /// Whither rows and columns run in the patient, as DICOM says it: `L` and `F`. Null where the file does not say.
    orientation: Option<Vec<String>>,
    /// `R`, `L`, `B` or `U`, as DICOM says it.
    laterality: Option<String>,
}

/// How samples become grey. All figures are samples.
#[derive(Debug, Serialize)]
pub(crate) struct WindowBody {
    /// Where it comes from.
    origin: OriginWord,
    /// What the file calls it.
    explanation: Option<String>,
    /// Which of the members below it has.
    function: FunctionWord,
    /// `linear`: the sample that is just black.
    black: Option<f32>,
    /// `linear`: the sample that is just white.
    white: Option<f32>,
    /// `sigmoid`: the sample of middle grey.
    center: Option<f32>,
    /// `sigmoid`: grey is `1 / (1 + exp(-4 (sample - center) / width))`.
    width: Option<f32>,
    /// `table`: a byte of grey for each sample from 0 on, in base64; the last goes on beyond the end.
    table: Option<String>,
}

/// `file` its own; `spread`, `dark`, `bright` what the samples of this image span, its darker and its brighter part; `range`
/// all that samples can be.
#[derive(Debug, Serialize)]
#[serde(rename_all = "snake_case")]
enum OriginWord {
    File,
    Spread,
    Dark,
    Bright,
    Range,
}

/// The shape of a window (PS3.3, C.11.2).
#[derive(Debug, Serialize)]
#[serde(rename_all = "snake_case")]
enum FunctionWord {
    Linear,
    Sigmoid,
    Table,
}

/// Distances between the centres of pixels (PS3.3, 10.7).
#[derive(Debug, Serialize)]
pub(crate) struct SpacingBody {
    /// Between rows, mm.
    rows: f32,
    /// Between columns, mm.
    columns: f32,
    /// Where they hold: at the `detector`, where the patient is larger than it is; in the `patient`; on a `film` that was
    /// scanned; or `unknown`.
    plane: PlaneWord,
    /// How many times larger the patient is at the detector, as the file estimates it.
    magnification: Option<f32>,
}

/// Where a distance was measured.
#[derive(Debug, Serialize)]
#[serde(rename_all = "snake_case")]
enum PlaneWord {
    Detector,
    Patient,
    Film,
    Unknown,
}

impl PixelsBody {
    /// The JSON of what goes with these pixels.
    pub(crate) fn note(full: &FullDepth) -> String {
        // Figures, words and lists only: nothing in it can fail to serialise.
        serde_json::to_string(&Self::from(full)).unwrap_or_default()
    }
}

impl From<&FullDepth> for PixelsBody {
    fn from(full: &FullDepth) -> Self {
        Self {
            top: full.top,
            slope: full.scale.slope,
            intercept: full.scale.intercept,
            windows: full.windows.iter().map(WindowBody::from).collect(),
            spacing: full.spacing.map(SpacingBody::from),
            orientation: full.orientation.clone().map(Vec::from),
            laterality: full.laterality.map(String::from),
        }
    }
}

impl From<&Window> for WindowBody {
    fn from(window: &Window) -> Self {
        let mut body = Self {
            origin: match window.origin {
                Origin::File => OriginWord::File,
                Origin::Spread => OriginWord::Spread,
                Origin::Dark => OriginWord::Dark,
                Origin::Bright => OriginWord::Bright,
                Origin::Range => OriginWord::Range,
            },
            explanation: window.explanation.clone(),
            function: FunctionWord::Linear,
            black: None,
            white: None,
            center: None,
            width: None,
            table: None,
        };
        match &window.curve {
            Curve::Linear { black, white } => {
                (body.black, body.white) = (Some(*black), Some(*white));
            }
            Curve::Sigmoid { center, width } => {
                body.function = FunctionWord::Sigmoid;
                (body.center, body.width) = (Some(*center), Some(*width));
            }
            Curve::Table(greys) => {
                body.function = FunctionWord::Table;
                body.table = Some(STANDARD.encode(greys));
            }
        }
        body
    }
}

impl From<Spacing> for SpacingBody {
    fn from(spacing: Spacing) -> Self {
        let Spacing { rows, columns, plane, magnification } = spacing;
        let plane = match plane {
            Plane::Detector => PlaneWord::Detector,
            Plane::Patient => PlaneWord::Patient,
            Plane::Film => PlaneWord::Film,
            Plane::Unknown => PlaneWord::Unknown,
        };
        Self { rows, columns, plane, magnification }
    }
}

#[cfg(test)]
mod tests {
    use lobar_imaging::{Samples, Scale};
    use serde_json::Value;

    use super::*;

    fn window(curve: Curve) -> Window {
        Window { origin: Origin::File, explanation: Some("LUNG".into()), curve }
    }

    fn note() -> Value {
        let full = FullDepth {
            width: 2,
            height: 1,
            samples: Samples::Eight(vec![0, 255]),
            top: 255,
            scale: Scale { slope: -1.0, intercept: 255.0 },
            windows: vec![
                window(Curve::Linear { black: 10.0, white: 20.5 }),
                window(Curve::Sigmoid { center: 100.0, width: 50.0 }),
                window(Curve::Table(vec![0, 128, 255])),
            ],
            spacing: Some(Spacing {
                rows: 0.2,
                columns: 0.1,
                plane: Plane::Detector,
                magnification: None,
            }),
            orientation: Some(["L".into(), "F".into()]),
            laterality: Some('R'),
        };
        serde_json::from_str(&PixelsBody::note(&full)).expect("JSON")
    }

    #[test]
    fn each_window_tells_the_figures_of_its_function() {
        let note = note();
        let [linear, sigmoid, table] = [0, 1, 2].map(|place| &note["windows"][place]);
        assert_eq!((&linear["function"], &linear["black"]), (&"linear".into(), &10.0.into()));
        assert_eq!((&linear["white"], &linear["center"]), (&20.5.into(), &Value::Null));
        assert_eq!((&sigmoid["function"], &sigmoid["width"]), (&"sigmoid".into(), &50.0.into()));
        assert_eq!((&table["function"], &table["table"]), (&"table".into(), &"AID/".into()));
    }

    /// No schema of the API document holds it, since it lies within a picture.
    #[test]
    fn every_member_is_one_that_the_page_and_the_document_know() {
        let note = note();
        let page = include_str!("../web/film.js");
        let document = include_str!("../../docs/viewer.md");
        let parts = [&note, &note["windows"][0], &note["spacing"]];
        for member in parts.iter().flat_map(|part| part.as_object().expect("members").keys()) {
            let typed =
                page.contains(&format!("}} {member}")) || page.contains(&format!("{member}: "));
            assert!(typed, "api/web/film.js has no {member}");
            assert!(document.contains(&format!("`{member}`")), "docs/viewer.md has no {member}");
        }
    }
}
