//! Plots as SVG, drawn into the page itself.
//!
//! The colours below are names rather than colours: the page's style replaces them, so that a plot
//! follows a light, a dark or a printed page. Text stays text.

use std::ops::Range;

use maud::{Markup, PreEscaped, html};
use plotters::coord::Shift;
use plotters::prelude::*;

use super::ReportError;

/// Text and axes.
const INK: RGBColor = RGBColor(0x11, 0x11, 0x11);
/// Lines to compare with.
const SOFT: RGBColor = RGBColor(0x77, 0x77, 0x77);
/// The grid.
const GRID: RGBColor = RGBColor(0xDD, 0xDD, 0xDD);
const WIDTH: u32 = 460;
const HEIGHT: u32 = 330;

/// What a colour of a plot stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Hue {
    /// The class NORMAL, or the only curve.
    Normal,
    /// The class PNEUMONIA.
    Pneumonia,
}

impl Hue {
    fn colour(self) -> RGBColor {
        match self {
            Self::Normal => RGBColor(0x1F, 0x6F, 0xB2),
            Self::Pneumonia => RGBColor(0xC4, 0x54, 0x1A),
        }
    }
}

/// What a plot is of.
pub(super) struct Axes<'a> {
    /// For those who cannot see it.
    pub(super) title: &'a str,
    pub(super) x: &'a str,
    pub(super) y: &'a str,
    pub(super) x_range: Range<f64>,
    pub(super) y_range: Range<f64>,
}

impl<'a> Axes<'a> {
    /// Both from 0 to 1.
    pub(super) fn of_shares(title: &'a str, x: &'a str, y: &'a str) -> Self {
        Self { title, x, y, x_range: 0.0..1.0, y_range: 0.0..1.0 }
    }
}

/// What is drawn on the axes, in this order.
#[derive(Default)]
pub(super) struct Drawing {
    /// A dashed line to compare with.
    pub(super) reference: Vec<(f64, f64)>,
    /// Boxes `(left, right, height)`, half transparent, so that those of two classes can overlap.
    pub(super) boxes: Vec<(Hue, f64, f64, f64)>,
    /// A line through points.
    pub(super) lines: Vec<(Hue, Vec<(f64, f64)>)>,
    /// Points with a name beside them.
    pub(super) marks: Vec<(String, f64, f64)>,
    /// Points alone, with their radius in pixels.
    pub(super) dots: Vec<(f64, f64, i32)>,
}

/// Draws.
///
/// # Errors
/// The plotting library refused, which numbers that are not finite make it do.
pub(super) fn plot(axes: &Axes<'_>, drawing: &Drawing) -> Result<Markup, ReportError> {
    let mut svg = String::new();
    {
        let area = SVGBackend::with_string(&mut svg, (WIDTH, HEIGHT)).into_drawing_area();
        draw(&area, axes, drawing).map_err(|e| ReportError::Plot(e.to_string()))?;
        area.present().map_err(|e| ReportError::Plot(e.to_string()))?;
    }
    // The page's own element instead of the library's, which names a namespace and a fixed size.
    let inner = svg.split_once("<svg").and_then(|(_, rest)| rest.split_once('>'));
    let inner = inner.map_or("", |(_, rest)| rest.trim_end().trim_end_matches("</svg>"));
    Ok(html! {
        svg viewBox={ "0 0 " (WIDTH) " " (HEIGHT) } role="img" aria-label=(axes.title) {
            (PreEscaped(inner))
        }
    })
}

type Failure<'a> = DrawingAreaErrorKind<<SVGBackend<'a> as DrawingBackend>::ErrorType>;

fn draw<'a>(
    area: &DrawingArea<SVGBackend<'a>, Shift>,
    axes: &Axes<'_>,
    drawing: &Drawing,
) -> Result<(), Failure<'a>> {
    let text = |size: i32| ("sans-serif", size).into_font().color(&INK);
    let mut chart = ChartBuilder::on(area)
        .margin(10)
        .margin_right(16)
        .x_label_area_size(44)
        .y_label_area_size(56)
        .build_cartesian_2d(axes.x_range.clone(), axes.y_range.clone())?;
    chart
        .configure_mesh()
        .x_desc(axes.x)
        .y_desc(axes.y)
        .x_labels(6)
        .y_labels(6)
        .max_light_lines(0)
        .bold_line_style(GRID)
        .axis_style(SOFT)
        .label_style(text(16))
        .axis_desc_style(text(17))
        .draw()?;
    if !drawing.reference.is_empty() {
        let line = DashedLineSeries::new(drawing.reference.iter().copied(), 5, 4, SOFT.into());
        chart.draw_series(line)?;
    }
    chart.draw_series(drawing.boxes.iter().map(|&(hue, left, right, height)| {
        Rectangle::new([(left, 0.0), (right, height)], hue.colour().mix(0.55).filled())
    }))?;
    for (hue, points) in &drawing.lines {
        let style = hue.colour().stroke_width(2);
        chart.draw_series(LineSeries::new(points.iter().copied(), style))?;
    }
    chart.draw_series(
        drawing
            .dots
            .iter()
            .map(|&(x, y, radius)| Circle::new((x, y), radius, Hue::Normal.colour().filled())),
    )?;
    chart
        .draw_series(drawing.marks.iter().map(|&(_, x, y)| Circle::new((x, y), 5, INK.filled())))?;
    chart.draw_series(drawing.marks.iter().map(|(name, x, y)| {
        EmptyElement::at((*x, *y)) + Text::new(name.clone(), (9, 4), text(16))
    }))?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plot_is_an_element_of_the_page_with_its_text_as_text() {
        let drawing = Drawing {
            lines: vec![(Hue::Pneumonia, vec![(0.0, 0.0), (0.5, 0.9), (1.0, 1.0)])],
            marks: vec![("at <half>".to_owned(), 0.5, 0.9)],
            ..Drawing::default()
        };
        let axes = Axes::of_shares("a \"curve\"", "across", "up");
        let svg = plot(&axes, &drawing).unwrap().into_string();
        assert!(svg.starts_with("<svg viewBox=\"0 0 460 330\"") && svg.ends_with("</svg>"));
        assert!(svg.contains("across") && svg.contains("a &quot;curve&quot;"), "{svg}");
        assert!(svg.contains("at &lt;half&gt;") && !svg.contains("http"), "{svg}");
        // The style replaces exactly this colour.
        assert!(svg.contains("stroke=\"#C4541A\""), "{svg}");
    }
}
