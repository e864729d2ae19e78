//! Pictures that are no DICOM at full depth, and the PNG that full depth is given as.

mod fixture;

use fixture::{encode_png, fixture};
use lobar_imaging::{
    Curve, DrawError, Limits, Origin, Samples, decode, decode_full_depth, draw_full_depth,
};
use png::{BitDepth, ColorType::Grayscale, Decoder};

#[test]
fn eight_bits_are_those_of_the_picture_for_people_upright() {
    for name in ["grey.jpg", "turned.jpg", "colour_420.jpg", "interlaced_grey.png"] {
        let picture = decode(&fixture(name), &Limits::default()).unwrap();
        let full = decode_full_depth(&fixture(name), &Limits::default()).unwrap();
        assert_eq!((full.width, full.height, full.top), (picture.width, picture.height, 255));
        assert!(full.samples == Samples::Eight(picture.pixels), "{name}");
        assert_eq!(full.windows[0].origin, Origin::Range, "{name}");
    }
}

#[test]
fn sixteen_bits_of_a_png_stay_with_the_depth_that_they_use() {
    let row = [0x00, 0x10, 0x08, 0x00, 0x0f, 0xff];
    let file = encode_png(3, 1, Grayscale, BitDepth::Sixteen, &row, |_| {});
    let full = decode_full_depth(&file, &Limits::default()).unwrap();
    assert_eq!(full.samples, Samples::Sixteen(vec![0x10, 0x800, 0xfff]));
    assert_eq!(full.top, 0xfff);
    assert_eq!(full.windows[0].curve, Curve::Linear { black: 0.0, white: 4095.0 });
}

#[test]
fn what_is_given_is_a_png_that_others_read_with_what_goes_with_it() {
    for (name, depth) in [("native_12.dcm", BitDepth::Sixteen), ("native_8.dcm", BitDepth::Eight)] {
        let full = decode_full_depth(&fixture(name), &Limits::default()).unwrap();
        let note = "{\"größe\": 1}";
        let png = draw_full_depth(&fixture(name), &Limits::default(), |_| note.into()).unwrap();
        let mut reader = Decoder::new(std::io::Cursor::new(&png)).read_info().unwrap();
        let mut pixels = vec![0; reader.output_buffer_size().unwrap()];
        let info = reader.next_frame(&mut pixels).unwrap();
        assert_eq!((info.width, info.height, info.bit_depth), (full.width, full.height, depth));
        let read = match depth {
            BitDepth::Eight => Samples::Eight(pixels),
            _ => {
                let pairs = pixels.chunks_exact(2);
                Samples::Sixteen(pairs.map(|two| u16::from_be_bytes([two[0], two[1]])).collect())
            }
        };
        assert!(read == full.samples, "{name}");
        let chunk = reader.info().utf8_text.first().unwrap();
        assert_eq!((chunk.keyword.as_str(), chunk.get_text().unwrap().as_str()), ("Lobar", note));
    }
}

#[test]
fn what_is_no_picture_is_refused_by_its_reason() {
    let full = |bytes: &[u8]| draw_full_depth(bytes, &Limits::default(), |_| String::new());
    for bytes in [&b""[..], b"no picture", &fixture("native_12.dcm")[..600]] {
        assert!(matches!(full(bytes), Err(DrawError::Refused(_))));
    }
    let small = Limits { max_pixels: 10, ..Limits::default() };
    for name in ["grey.jpg", "interlaced_grey.png", "native_12.dcm"] {
        assert!(decode_full_depth(&fixture(name), &small).is_err(), "{name}");
    }
}
