//! The page on a data folder.

use maud::{Markup, html};

use super::number::{count, figure, of};
use super::page::{figure as captioned, page, section, table};
use super::plot::{Axes, Drawing, Hue, plot};
use super::{ReportError, picture};
use crate::dataset::{Class, Split};
use crate::exploration::{Group, NEAR_BITS, PictureRecord, SingleNumber, Survey};

/// Groups of duplicates and unreadable files that are listed.
const MOST_LISTED: usize = 40;
/// Bins of the plots of sizes.
const SIZE_BINS: usize = 30;

/// The survey of the folder called `name` as a page.
///
/// # Errors
/// A plot or a picture cannot be drawn.
pub fn data_page(name: &str, it: &Survey) -> Result<String, ReportError> {
    let lead = html! {
        p { (of(it.images, "readable image", "readable images")) " in " (it.splits.len()) " splits." }
        @if it.warnings.is_empty() { p { "Nothing here calls for a warning." } }
        @else { ul.warnings { @for warning in &it.warnings { li { (warning) } } } }
    };
    let body = html! {
        (section("balance", "Balance and patients", &balance(it)))
        (section("numbers", "What a single number could tell", &numbers(it)))
        @if !it.burnt_in.is_empty() { (section("text", "Burnt-in text", &burnt_in(it))) }
        (section("sizes", "Sizes of the originals", &sizes(it)?))
        (section("intensity", "Intensity", &intensity(it)?))
        (section("duplicates", "Duplicates", &duplicates(it)))
        (section("unreadable", "Unreadable files", &unreadable(it)))
        (section("samples", "A few to look at", &samples(it)?))
    };
    Ok(page(&format!("The data in {name}"), &lead, &body))
}

fn balance(it: &Survey) -> Markup {
    let rows: Vec<Vec<String>> = it
        .splits
        .iter()
        .map(|it| {
            let sum = it.normal + it.pneumonia;
            vec![
                it.split.name().to_owned(),
                count(it.normal),
                count(it.pneumonia),
                format!("{:.0} %", it.pneumonia as f64 * 100.0 / sum.max(1) as f64),
                count(it.bacterial),
                count(it.viral),
                count(it.patients),
                format!("{:.2}", it.images_per_patient),
                count(it.most_images_of_a_patient),
            ]
        })
        .collect();
    let head = [
        "split",
        "normal",
        "pneumonia",
        "share",
        "bacterial",
        "viral",
        "patients",
        "images each",
        "most",
    ];
    html! {
        (table(&head, &rows))
        @if it.shared_patients.is_empty() { p { "No patient is in two splits." } }
        @for shared in &it.shared_patients {
            p {
                (of(shared.patients, "patient", "patients")) " in both " (shared.first.name()) " and " (shared.second.name())
                ", with " (of(shared.images, "image", "images")) " in " (shared.second.name()) "."
            }
        }
    }
}

fn numbers(it: &Survey) -> Markup {
    let rows: Vec<Vec<String>> = it
        .numbers
        .iter()
        .map(|it| vec![it.name.to_owned(), figure(it.auc), figure(it.shift_auc), count(it.known)])
        .collect();
    html! {
        p {
            "AUC, either way round, of one number that knows nothing of lungs: 0.5 tells nothing, 1 tells all. What separates the "
            "classes here a network may learn instead of the illness; what separates train from test, within one class, makes "
            "figures of the one fail on the other."
        }
        (table(&["", "pneumonia or normal", "train or test", "images"], &rows))
        details {
            summary { "Where the values lie: median, and the middle nine tenths" }
            @for number in &it.numbers { h3 { (number.name) } (spread(number)) }
        }
        p.soft {
            "Brightness and contrast: mean and standard deviation of the grey levels of the 224×224 image. Sharpness: variance of its "
            "Laplacian. Copies that already have that size tell of their originals only what the manifest does."
        }
    }
}

/// Which units' text is confounded with the label.
fn burnt_in(it: &Survey) -> Markup {
    let rows: Vec<Vec<String>> = it
        .burnt_in
        .iter()
        .map(|it| {
            vec![
                format!("{}, {}", it.corner.name(), it.split.name()),
                format!("{} of {}", count(it.normal), count(it.of_normal)),
                format!("{} of {}", count(it.pneumonia), count(it.of_pneumonia)),
                format!("{:.2}", it.odds_ratio()),
            ]
        })
        .collect();
    html! {
        p {
            "A line of text in a corner, told by the shape of its strokes and not read. Text names the X-ray unit. An odds ratio far "
            "from 1 says that the unit tells the class; another one in test than in train, that figures do not carry over."
        }
        (table(&["corner, split", "normal", "pneumonia", "odds ratio"], &rows))
    }
}

fn spread(number: &SingleNumber) -> Markup {
    let value =
        |value: f64| if value.abs() < 10.0 { format!("{value:.2}") } else { format!("{value:.0}") };
    let rows: Vec<Vec<String>> = number
        .spread
        .iter()
        .map(|it| {
            vec![
                format!("{}, {}", it.split.name(), it.class.folder()),
                value(it.spread.median),
                format!("{} to {}", value(it.spread.low), value(it.spread.high)),
                count(it.known),
            ]
        })
        .collect();
    table(&["", "median", "nine tenths", "images"], &rows)
}

fn sizes(it: &Survey) -> Result<Markup, ReportError> {
    let known = it.records.iter().filter(|it| it.original_size.is_some()).count() as u64;
    if known == 0 {
        return Ok(html! {
            p { "Of no image: all files have the network's size already, and no manifest tells what they were." }
        });
    }
    let height = |it: &PictureRecord| it.original_size.map(|(_, height)| f64::from(height));
    let aspect = |it: &PictureRecord| {
        it.original_size.map(|(width, height)| f64::from(width) / f64::from(height.max(1)))
    };
    Ok(html! {
        p { "Known of " (of(known, "image", "images")) ", from the manifest or else from the files." }
        div.side {
            (by_class(it, "Height by class", "height, pixels", height)?)
            (by_class(it, "Aspect ratio by class", "width / height", aspect)?)
        }
    })
}

fn intensity(it: &Survey) -> Result<Markup, ReportError> {
    Ok(html! {
        div.side {
            @for split in Split::ALL {
                @let lines = lines(it, split);
                @if !lines.is_empty() {
                    @let top = lines.iter().flat_map(|(_, line)| line).map(|it| it.1).fold(0.01, f64::max) * 1.05;
                    @let title = format!("Grey levels in {}", split.name());
                    @let axes = Axes { title: &title, x: "grey level", y: "share of the pixels", x_range: 0.0..256.0, y_range: 0.0..top };
                    (captioned(&plot(&axes, &Drawing { lines, ..Drawing::default() })?, &html! { (title) ": " (legend()) "." }))
                }
            }
            (by_class(it, "Brightness by class", "mean grey level", |it| Some(it.brightness))?)
            (by_class(it, "Contrast by class", "standard deviation of the grey levels", |it| Some(it.contrast))?)
            (by_class(it, "Sharpness by class", "log10 of the variance of the Laplacian", |it| Some(it.sharpness.max(1.0).log10()))?)
        }
    })
}

fn lines(it: &Survey, split: Split) -> Vec<(Hue, Vec<(f64, f64)>)> {
    it.levels
        .iter()
        .filter(|it| it.split == split)
        .map(|it| {
            let width = 256.0 / it.shares.len() as f64;
            let point = |(at, share): (usize, &f64)| ((at as f64 + 0.5) * width, *share);
            (hue(it.class), it.shares.iter().enumerate().map(point).collect())
        })
        .collect()
}

/// A histogram of one number over all splits, each class as shares of itself.
fn by_class(
    it: &Survey,
    title: &str,
    x: &str,
    measure: impl Fn(&PictureRecord) -> Option<f64>,
) -> Result<Markup, ReportError> {
    let values: Vec<(Class, f64)> =
        it.records.iter().filter_map(|it| Some((it.class, measure(it)?))).collect();
    let low = values.iter().map(|it| it.1).fold(f64::INFINITY, f64::min);
    let high = values.iter().map(|it| it.1).fold(f64::NEG_INFINITY, f64::max);
    if values.is_empty() {
        return Ok(html! {});
    }
    let width = ((high - low) / SIZE_BINS as f64).max(1e-3);
    let mut boxes = Vec::new();
    for class in Class::ALL {
        let of: Vec<f64> = values.iter().filter(|it| it.0 == class).map(|it| it.1).collect();
        let mut counts = [0_u64; SIZE_BINS];
        for value in &of {
            counts[(((value - low) / width) as usize).min(SIZE_BINS - 1)] += 1;
        }
        boxes.extend(counts.iter().enumerate().filter(|(_, count)| **count > 0).map(
            |(at, &count)| {
                let left = low + at as f64 * width;
                (hue(class), left, left + width, count as f64 / of.len() as f64)
            },
        ));
    }
    let top = boxes.iter().map(|it| it.3).fold(0.01, f64::max) * 1.05;
    let axes = Axes {
        title,
        x,
        y: "share of the class",
        x_range: low..low + width * SIZE_BINS as f64,
        y_range: 0.0..top,
    };
    let drawing = Drawing { boxes, ..Drawing::default() };
    Ok(captioned(&plot(&axes, &drawing)?, &html! { (title) ": " (legend()) "." }))
}

fn hue(class: Class) -> Hue {
    match class {
        Class::Normal => Hue::Normal,
        Class::Pneumonia => Hue::Pneumonia,
    }
}

fn legend() -> Markup {
    html! { span.swatch.normal {} "normal, " span.swatch.ill {} "pneumonia" }
}

fn duplicates(it: &Survey) -> Markup {
    html! {
        p { "Equal files, by SHA-256: " (of(it.exact_duplicates.len() as u64, "group", "groups")) "." }
        (groups(&it.exact_duplicates))
        p {
            "Nearly equal pictures: " (of(it.near_duplicates.len() as u64, "group", "groups"))
            " of different files. Found by a difference hash of 256 bits of which at most " (NEAR_BITS) " differ. That finds copies "
            "that were saved again, resized or brightened. It does not find copies that were turned, mirrored, shifted or cropped, "
            "nor two different X-rays of one child."
        }
        (groups(&it.near_duplicates))
    }
}

fn groups(groups: &[Group]) -> Markup {
    let rows: Vec<Vec<String>> = groups
        .iter()
        .take(MOST_LISTED)
        .map(|it| {
            let named = match it.names.is_empty() {
                true => it.numbers.iter().map(ToString::to_string).collect::<Vec<_>>().join(", "),
                false => it.names.join(", "),
            };
            let splits = it.splits.iter().map(|it| it.name()).collect::<Vec<_>>().join(", ");
            let classes = it.classes.iter().map(|it| it.folder()).collect::<Vec<_>>().join(" and ");
            vec![it.numbers.len().to_string(), named, splits, classes, it.patients.to_string()]
        })
        .collect();
    html! {
        @if !groups.is_empty() {
            details.words {
                summary { "Which" @if groups.len() > MOST_LISTED { ": the first " (MOST_LISTED) } }
                (table(&["images", "which", "splits", "labels", "patients"], &rows))
            }
        }
    }
}

fn unreadable(it: &Survey) -> Markup {
    let rows: Vec<Vec<String>> = it
        .unreadable
        .iter()
        .take(MOST_LISTED)
        .map(|it| {
            let named = it.name.clone().unwrap_or_else(|| it.number.to_string());
            vec![named, it.split.name().to_owned(), it.class.folder().to_owned(), it.why.clone()]
        })
        .collect();
    html! {
        @if rows.is_empty() { p { "None." } }
        @else { div.words { (table(&["file", "split", "class", "why"], &rows)) } }
    }
}

fn samples(it: &Survey) -> Result<Markup, ReportError> {
    let mut all = html! {};
    for class in Class::ALL {
        let mut shown = html! {};
        for sample in it.samples.iter().filter(|it| it.class == class) {
            let url = picture::grey(&sample.pixels)?;
            let named = sample.name.clone().unwrap_or_else(|| format!("image {}", sample.number));
            shown =
                html! { (shown) img src=(url) alt=(named) title=(named) width="224" height="224"; };
        }
        all = html! { (all) h3 { "Labelled " (class.folder()) } div.samples { (shown) } };
    }
    Ok(html! {
        (all)
        p.soft { "As the network gets them: 224×224 pixels, aspect ratio not kept. An image's number is its place among all files, sorted by split, class and name." }
    })
}
