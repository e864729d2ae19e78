//! Pictures and heat maps as a page gets them.

mod fixture;

use fixture::{grey_png, texture};
use lobar_core::finding::Heatmap;
use lobar_imaging::{Limits, decode, heatmap_png, picture_png};

#[test]
fn a_picture_is_a_grey_png_no_larger_than_asked_for() {
    let radiograph = decode(&grey_png(800, 400, &texture(800, 400)), &Limits::default()).unwrap();
    let small = decode(&picture_png(&radiograph, 200).unwrap(), &Limits::default()).unwrap();
    assert_eq!((small.width, small.height), (200, 100));
    let whole = decode(&picture_png(&radiograph, 4000).unwrap(), &Limits::default()).unwrap();
    assert_eq!(whole.pixels, radiograph.pixels);
}

#[test]
fn a_heat_map_glows_where_its_cells_do() {
    let mut cells = vec![0.0; 49];
    cells[2 * 7 + 5] = 1.0;
    let bytes = heatmap_png(&Heatmap { width: 7, height: 7, cells }, 350, 280).unwrap();
    let mut reader = png::Decoder::new(std::io::Cursor::new(&bytes)).read_info().unwrap();
    let mut rgba = vec![0; reader.output_buffer_size().unwrap()];
    let info = reader.next_frame(&mut rgba).unwrap();
    assert_eq!((info.width, info.height, info.color_type), (350, 280, png::ColorType::Rgba));
    let alpha = |x: usize, y: usize| rgba[(y * 350 + x) * 4 + 3];
    assert_eq!(alpha(275, 100), 153);
    assert_eq!(alpha(0, 0), 0);
    assert_eq!(alpha(100, 200), 0);
    assert!(alpha(275, 75) < 153 && alpha(275, 100 + 13) > 0);
}
