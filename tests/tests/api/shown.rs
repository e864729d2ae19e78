//! What a viewer has painted on the screen, held against a picture of Lobar's.

use image::GrayImage;
use lobar_core::study::Uid;

use crate::browser::Browser;

/// Study, series and instance.
pub struct Place<'a>(pub &'a [Uid; 3]);

impl Place<'_> {
    /// The address of Lobar's own picture of the instance.
    pub fn rendered(&self) -> String {
        let [study, series, instance] = self.0;
        let (study, series, instance) = (study.as_str(), series.as_str(), instance.as_str());
        format!("/dicom-web/studies/{study}/series/{series}/instances/{instance}/rendered")
    }
}

/// Cells of the grid by which two pictures are compared, along each side.
const CELLS: u32 = 20;
/// Which part of the picture is compared, of each side: writing lies over the corners of viewers.
const COMPARED: std::ops::Range<f64> = 0.2..0.8;

/// A screenshot, and where on it the viewer says that the picture lies.
pub struct Painted {
    screen: GrayImage,
    /// The middle of the first pixel.
    origin: [f64; 2],
    /// From one pixel to the next, in pixels of the screen: the picture is upright.
    step: [f64; 2],
}

/// By how many grey levels of 255 two pictures differ, cell by cell.
pub struct Difference {
    pub mean: f64,
    pub largest: f64,
}

/// Where the middles of the first pixel, the last of the first row and the last of the first column lie on the page, as
/// OHIF has it; `null` as long as nothing is painted. Its tour is a dialog over the picture.
const WHERE: &str = "
    for (const tour of document.querySelectorAll('.shepherd-element, .shepherd-modal-overlay-container')) tour.remove();
    const { cornerstoneViewportService, viewportGridService } = window.services ?? {};
    let id = null;
    // Its services are there before what they are made of is.
    try { id = viewportGridService?.getState().activeViewportId; } catch { return null; }
    const viewport = id && cornerstoneViewportService.getCornerstoneViewport(id);
    if (viewport?.viewportStatus !== 'rendered') return null;
    const image = viewport.getImageData();
    const canvas = viewport.element.querySelector('canvas.cornerstone-canvas');
    if (!image || !canvas) return null;
    const { left, top } = canvas.getBoundingClientRect();
    const [columns, rows] = image.dimensions;
    return [[0, 0], [columns - 1, 0], [0, rows - 1]].map(([column, row]) => {
      const [x, y] = viewport.worldToCanvas(image.imageData.indexToWorld([column, row, 0]));
      return [left + x, top + y, columns, rows];
    });
";

impl Painted {
    /// What OHIF shows in its active viewport; nothing as long as it loads.
    pub async fn in_ohif(browser: &Browser) -> Option<Self> {
        let said = browser.run(WHERE).await;
        let corners = said.as_array()?;
        let number = |corner: usize, member: usize| corners[corner][member].as_f64();
        let numbers =
            |corner| -> Option<[f64; 2]> { Some([number(corner, 0)?, number(corner, 1)?]) };
        let [origin, row, column] = [numbers(0)?, numbers(1)?, numbers(2)?];
        let size = [number(0, 2)?, number(0, 3)?];
        let upright = (row[1] - origin[1]).abs() < 0.5 && (column[0] - origin[0]).abs() < 0.5;
        assert!(upright && row[0] > origin[0] && column[1] > origin[1], "it is turned: {said}");
        let step =
            [(row[0] - origin[0]) / (size[0] - 1.0), (column[1] - origin[1]) / (size[1] - 1.0)];
        let png = browser.png().await;
        let screen = image::load_from_memory(&png).expect("a picture").into_luma8();
        Some(Self { screen, origin, step })
    }

    /// Held against a picture of as many pixels as the viewer has, by the means of the cells of a grid.
    pub fn differs_from(&self, picture: &GrayImage) -> Difference {
        let sides = [f64::from(picture.width()), f64::from(picture.height())];
        let (mut sum, mut largest) = (0.0, 0.0_f64);
        for row in 0..CELLS {
            for column in 0..CELLS {
                let cell = [column, row].map(f64::from);
                let length = (COMPARED.end - COMPARED.start) / f64::from(CELLS);
                let from = [0, 1].map(|at| sides[at] * (COMPARED.start + cell[at] * length));
                let to = [0, 1].map(|at| sides[at] * (COMPARED.start + (cell[at] + 1.0) * length));
                // The edges of a pixel lie half a pixel beside its middle.
                let placed = |point: [f64; 2]| {
                    [0, 1].map(|at| self.origin[at] + (point[at] - 0.5) * self.step[at])
                };
                let differs =
                    (mean(&self.screen, placed(from), placed(to)) - mean(picture, from, to)).abs();
                sum += differs;
                largest = largest.max(differs);
            }
        }
        Difference { mean: sum / f64::from(CELLS * CELLS), largest }
    }
}

/// The mean of the pixels whose middles lie between two corners.
fn mean(picture: &GrayImage, from: [f64; 2], to: [f64; 2]) -> f64 {
    let [columns, rows] = [0, 1].map(|at| {
        let first = (from[at] - 0.5).ceil().max(0.0) as u32;
        first..((to[at] - 0.5).ceil().max(0.0) as u32)
    });
    let (mut sum, mut count) = (0.0, 0.0);
    for y in rows {
        for x in columns.clone() {
            if let Some(pixel) = picture.get_pixel_checked(x, y) {
                sum += f64::from(pixel.0[0]);
                count += 1.0;
            }
        }
    }
    assert!(count > 0.0, "the cell lies outside of the picture");
    sum / count
}
