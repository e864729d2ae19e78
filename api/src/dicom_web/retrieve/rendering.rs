//! What a client says of how a picture is to be drawn (PS3.18, 8.3.5).

use lobar_imaging::{Viewport, Voi, VoiFunction};

use super::accept::percent_decoded;
use crate::problem::{Kind, Problem};

/// The longest side of a viewport, pixels: screens have no more, and larger pictures are had without one.
pub(super) const VIEWPORT_MAX: u32 = 4_096;
/// Quality of a JPEG where none is asked for.
const QUALITY: u8 = 90;
/// Parameters of a query that are read, and the characters of a value.
const PAIRS_MAX: usize = 32;
const VALUE_MAX: usize = 256;
/// Parameters of the standard that change nothing here: pictures carry no text, and grey has no profile.
const IGNORED: [&str; 3] = ["annotation", "charset", "iccprofile"];

/// How a picture is to be drawn, beside its media type.
#[derive(Debug, PartialEq)]
pub(super) struct Rendering {
    pub(super) voi: Option<Voi>,
    pub(super) viewport: Option<Viewport>,
    pub(super) quality: u8,
    /// Parameters that were ignored.
    pub(super) ignored: Vec<&'static str>,
}

fn bad(detail: impl Into<String>) -> Problem {
    Problem::new(Kind::BadParameter, detail)
}

impl Rendering {
    /// Reads a query. Of a thumbnail the viewport alone is taken, without a region.
    ///
    /// # Errors
    /// 400 for a value that is none, for what comes twice, and for a parameter that the standard does not have: it may be one
    /// that was misspelt, and the picture would be another than was meant.
    pub(super) fn read(query: &str, is_thumbnail: bool) -> Result<Self, Problem> {
        let mut rendering = Self { voi: None, viewport: None, quality: QUALITY, ignored: vec![] };
        let mut seen = Vec::new();
        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let name = percent_decoded(name);
            if seen.len() >= PAIRS_MAX || value.len() > VALUE_MAX {
                return Err(bad(format!(
                    "At most {PAIRS_MAX} parameters of {VALUE_MAX} characters."
                )));
            }
            if seen.contains(&name) {
                return Err(bad("Each parameter comes once."));
            }
            let value = percent_decoded(value);
            match name.as_str() {
                "accept" => {}
                "viewport" => rendering.viewport = Some(viewport(&value, !is_thumbnail)?),
                "window" if !is_thumbnail => rendering.voi = Some(window(&value)?),
                "quality" if !is_thumbnail => rendering.quality = quality(&value)?,
                _ if is_thumbnail => return Err(bad("A thumbnail takes accept and viewport.")),
                _ => match IGNORED.into_iter().find(|ignored| *ignored == name) {
                    Some(ignored) => rendering.ignored.push(ignored),
                    None => {
                        return Err(bad(
                            "A picture takes accept, window, viewport and quality; annotation, charset and iccprofile change nothing.",
                        ));
                    }
                },
            }
            seen.push(name);
        }
        Ok(rendering)
    }
}

/// `center,width,function`.
fn window(value: &str) -> Result<Voi, Problem> {
    let wrong = || {
        bad(
            "`window` is center,width,function: two numbers, the width 1 at least (of linear-exact and sigmoid above 0), and linear, linear-exact or sigmoid.",
        )
    };
    let [center, width, function] = value.split(',').collect::<Vec<_>>()[..] else {
        return Err(wrong());
    };
    let function = match function {
        "linear" => VoiFunction::Linear,
        "linear-exact" => VoiFunction::LinearExact,
        "sigmoid" => VoiFunction::Sigmoid,
        _ => return Err(wrong()),
    };
    let [center, width] = [center, width].map(|text| decimal(text).map(|number| number as f32));
    center
        .zip(width)
        .and_then(|(center, width)| Voi::new(center, width, function))
        .ok_or_else(wrong)
}

/// A number of digits, with a sign, a point and an exponent where it has them; never `NaN` or `inf`.
fn decimal(text: &str) -> Option<f64> {
    let is_plain = |byte: u8| byte.is_ascii_digit() || b"+-.eE".contains(&byte);
    let number: f64 = text.bytes().all(is_plain).then(|| text.parse().ok()).flatten()?;
    number.is_finite().then_some(number)
}

/// `vw,vh` or, of rendered pictures, `vw,vh,sx,sy,sw,sh`, of which each of the last four may be empty. A side below zero turns
/// the region over.
fn viewport(value: &str, with_region: bool) -> Result<Viewport, Problem> {
    let wrong = || {
        let region = if with_region {
            ", and of the region that is shown, sx,sy,sw,sh, where it begins, 0 at least, and its sides, of a pixel at least"
        } else {
            ""
        };
        bad(format!("`viewport` is vw,vh, each from 1 to {VIEWPORT_MAX}{region}."))
    };
    let fields: Vec<&str> = value.split(',').collect();
    if fields.len() < 2 || fields.len() > if with_region { 6 } else { 2 } {
        return Err(wrong());
    }
    let side = |text: &str| {
        let is_plain = text.bytes().all(|byte| byte.is_ascii_digit());
        let side = is_plain.then(|| text.parse::<u32>().ok()).flatten();
        side.filter(|side| (1..=VIEWPORT_MAX).contains(side)).ok_or_else(wrong)
    };
    let (width, height) = (side(fields[0])?, side(fields[1])?);
    let given = |i: usize| match fields.get(i) {
        None | Some(&"") => Ok(None),
        Some(text) => decimal(text).map(Some).ok_or_else(wrong),
    };
    let begin = |i: usize| {
        let begin = given(i)?.unwrap_or(0.0);
        if begin >= 0.0 { Ok(begin) } else { Err(wrong()) }
    };
    let extent = |i: usize| match given(i)? {
        Some(side) if side.abs() < 1.0 => Err(wrong()),
        side => Ok(side),
    };
    let (origin, sides) = ([begin(2)?, begin(3)?], [extent(4)?, extent(5)?]);
    let flipped = sides.map(|side| side.is_some_and(|side| side < 0.0));
    let size = sides.map(|side| side.map(f64::abs));
    Ok(Viewport { width, height, origin, size, flipped })
}

fn quality(value: &str) -> Result<u8, Problem> {
    let is_plain = value.bytes().all(|byte| byte.is_ascii_digit());
    let quality = is_plain.then(|| value.parse::<u8>().ok()).flatten();
    quality
        .filter(|quality| (1..=100).contains(quality))
        .ok_or_else(|| bad("`quality` is from 1 to 100."))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(query: &str) -> Option<Rendering> {
        Rendering::read(query, false).ok()
    }

    #[test]
    fn a_query_is_read_as_the_standard_writes_it() {
        let query = "accept=image/png&window=-600.5,1.5e3,linear-exact&viewport=512,256,10,,-100.5,&quality=75&annotation=patient";
        let rendering = read(query).expect("read");
        assert_eq!(rendering.voi, Voi::new(-600.5, 1_500.0, VoiFunction::LinearExact));
        let viewport = rendering.viewport.expect("one");
        assert_eq!((viewport.width, viewport.height), (512, 256));
        assert_eq!((viewport.origin, viewport.size), ([10.0, 0.0], [Some(100.5), None]));
        assert_eq!(viewport.flipped, [true, false]);
        assert_eq!((rendering.quality, rendering.ignored), (75, vec!["annotation"]));
        let encoded = read("window=40%2C400%2Clinear").expect("read").voi;
        assert_eq!(encoded, Voi::new(40.0, 400.0, VoiFunction::Linear));
        assert_eq!(read("").expect("read").quality, QUALITY);
    }

    #[test]
    fn what_is_no_value_is_refused() {
        for query in [
            "window=40,400",
            "window=40,400,",
            "window=40,400,linear,1",
            "window=40,0,linear",
            "window=40,0.5,linear",
            "window=40,0,sigmoid",
            "window=40,-400,linear-exact",
            "window=NaN,400,linear",
            "window=inf,400,linear",
            "window=1e39,400,linear",
            "window=40,1e999,linear",
            "window=40,400,LINEAR",
            "window=,,linear",
            "window=40,400,linear&window=40,400,linear",
            "viewport=0,100",
            "viewport=100",
            "viewport=",
            "viewport=-100,100",
            "viewport=+100,100",
            "viewport=1.5,100",
            "viewport=4097,1",
            "viewport=4294967296,1",
            "viewport=100,100,-1",
            "viewport=100,100,0,0,0,10",
            "viewport=100,100,0,0,NaN,10",
            "viewport=100,100,0,0,10,0.9",
            "viewport=100,100,0,0,10,10,10",
            "quality=0",
            "quality=101",
            "quality=256",
            "quality=x",
            "quality=-1",
            "windw=40,400,linear",
            "presentationUID=1.2.3",
        ] {
            assert!(read(query).is_none(), "{query}");
        }
        for query in ["window=40,400,linear", "quality=50", "viewport=9,9,0", "annotation=patient"]
        {
            assert!(Rendering::read(query, true).is_err(), "{query}");
        }
        assert!(Rendering::read("viewport=64,64&accept=image/jpeg", true).is_ok());
    }
}
