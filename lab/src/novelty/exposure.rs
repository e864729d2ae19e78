//! What the head is shown: films in scope and copies of them, and all kinds of pictures out of scope.

use std::collections::BTreeMap;

use lobar_core::engine::NetworkInput;
use lobar_imaging::check_contrast;
use lobar_model::engine::TorchEngine;
use rand::SeedableRng;
use rand::rngs::StdRng;
use tch::Tensor;

use super::features::features;
use super::scope::in_scope;
use super::trial::passed;
use super::{Alteration, Drawing, FitError, Outliers};
use crate::dataset::Sample;

/// Of so many training images one is shown altered beyond what the model is for.
const ALTERED_OF: usize = 3;
/// Drawings of each kind, at most; and training images for one of them.
const DRAWN: usize = 32;
const IMAGES_A_DRAWING: usize = 64;
/// The first of them; those before it are there to measure on.
const FIRST_DRAWN: u32 = 1000;
/// Copies of each film that was given as out of scope, beside itself.
const COPIES: usize = 4;
/// What altered films of all kinds, drawings, and the films that were given count together, where the
/// pictures in scope count 1.
const ALTERED_COUNT: f64 = 1.0 / 6.0;
const DRAWN_COUNT: f64 = 1.0 / 24.0;
const OUTLIERS_COUNT: f64 = 1.0;

/// What a model is not for.
pub(super) struct OutOfScope {
    /// Altered films of each kind, and drawings.
    pub(super) made: Vec<Shown>,
    /// The films that were given, and copies of them; none where none were.
    pub(super) given: Vec<Shown>,
}

/// Pictures of one kind.
pub(super) struct Shown {
    /// Its name in a card.
    pub(super) kind: String,
    /// Half precision `[N, 9, features]`.
    pub(super) features: Tensor,
    /// What they count together.
    pub(super) count: f64,
}

/// Training films as they are, then a copy of each, that a model is for: half precision
/// `[2 × N, 9, features]`.
pub(super) fn shown_in_scope(
    engine: &mut TorchEngine,
    train: &[Sample],
) -> Result<Tensor, FitError> {
    let films = train.len();
    features(engine, 2 * films, &|index| match train.get(index) {
        Some(film) => film.pixels.clone(),
        None => in_scope(&train[index - films].pixels, &mut StdRng::seed_from_u64(index as u64)),
    })
}

/// Shows what a model is not for.
pub(super) fn shown_out_of_scope(
    engine: &mut TorchEngine,
    train: &[Sample],
    outliers: &Outliers,
) -> Result<OutOfScope, FitError> {
    let (mut made, mut given) = (Vec::new(), Vec::new());
    let kinds = Alteration::OUT_OF_SCOPE;
    let altered: Vec<&Sample> = train.iter().step_by(ALTERED_OF).collect();
    for (first, alteration) in kinds.into_iter().enumerate() {
        let of_kind: Vec<&&Sample> = altered.iter().skip(first).step_by(kinds.len()).collect();
        if of_kind.is_empty() {
            continue;
        }
        let features = features(engine, of_kind.len(), &|which| {
            alteration.apply(&of_kind[which].pixels, which)
        })?;
        let count = ALTERED_COUNT / kinds.len() as f64;
        made.push(Shown { kind: alteration.name().to_owned(), features, count });
    }
    let drawn = (train.len() / IMAGES_A_DRAWING).clamp(1, DRAWN) as u32;
    let drawings = Drawing::ALL.into_iter().flat_map(|drawing| {
        (FIRST_DRAWN..FIRST_DRAWN + drawn).filter_map(move |which| passed(drawing, which))
    });
    let drawings: Vec<NetworkInput> =
        drawings.filter(|drawing| check_contrast(drawing).is_ok()).collect();
    let drawn = features(engine, drawings.len(), &|index| drawings[index].pixels().to_vec())?;
    made.push(Shown { kind: "drawings".to_owned(), features: drawn, count: DRAWN_COUNT });
    let films = &outliers.fitting;
    if !films.is_empty() {
        let features = features(engine, films.len() * (1 + COPIES), &|index| {
            let film = &films[index % films.len()].pixels;
            if index < films.len() {
                return film.clone();
            }
            in_scope(film, &mut StdRng::seed_from_u64(index as u64))
        })?;
        given.push(Shown { kind: "films given".to_owned(), features, count: OUTLIERS_COUNT });
    }
    Ok(OutOfScope { made, given })
}

/// Validation films as they are, then copies of each: padded, letterboxed, turned. A quarter of the
/// features `[4 × N, 9, features]` each, in half precision.
pub(super) fn validation(engine: &mut TorchEngine, films: &[Sample]) -> Result<Tensor, FitError> {
    use Alteration::{
        FiveDegrees, Landscape, PaddedBlack, PaddedGrey, PaddedWhite, Portrait, TenDegrees,
    };
    let ways: [&[Alteration]; 3] = [
        &[PaddedBlack, PaddedGrey, PaddedWhite],
        &[Landscape, Portrait],
        &[FiveDegrees, TenDegrees],
    ];
    features(engine, films.len() * (1 + ways.len()), &|index| {
        let (way, which) = (index / films.len(), index % films.len());
        let film = &films[which].pixels;
        match way.checked_sub(1).and_then(|way| ways.get(way)) {
            // How strong goes by `which`, so that the way must go by another figure.
            Some(way) => way[which / 7 % way.len()].apply(film, which),
            None => film.clone(),
        }
    })
}

impl OutOfScope {
    /// How many pictures of each kind.
    pub(super) fn numbers(&self) -> BTreeMap<String, u64> {
        let number = |features: &Tensor| features.size().first().map_or(0, |&n| n as u64);
        let all = self.made.iter().chain(&self.given);
        all.map(|shown| (shown.kind.clone(), number(&shown.features))).collect()
    }
}
