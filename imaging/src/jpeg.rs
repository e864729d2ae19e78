//! JPEG: baseline and progressive, grey, YCbCr, RGB, CMYK and YCCK.

use zune_jpeg::JpegDecoder;
use zune_jpeg::zune_core::bytestream::ZCursor;
use zune_jpeg::zune_core::colorspace::ColorSpace;
use zune_jpeg::zune_core::options::DecoderOptions;

use crate::chroma::ChromaSum;
use crate::jpeg_structure::{self, Structure};
use crate::radiograph::{Decoded, Samples};
use crate::{Chroma, Format, Limits, Rejection, orientation};

/// One bits put between the last scan and the end marker. No Huffman code consists of ones alone (ITU-T
/// T.81, annex C), so a decoder that reads on because part of the scan is missing fails there. Without
/// them it would read zeros, which are codes, and fill the rest with an even grey.
const SEAL: [u8; 128] = {
    let mut seal = [0; 128];
    let mut i = 0;
    while i < seal.len() {
        seal[i] = 0xff; // escaped by the zero behind it
        i += 2;
    }
    seal
};

pub(crate) fn decode(bytes: &[u8], limits: &Limits) -> Result<Decoded, Rejection> {
    let structure = jpeg_structure::read(bytes)?;
    limits.admit_size(structure.width, structure.height)?;
    refuse_hollow(&structure, bytes.len())?;

    let mut sealed = Vec::with_capacity(structure.end + SEAL.len() + 2);
    sealed.extend_from_slice(&bytes[..structure.end]);
    sealed.extend_from_slice(&SEAL);
    sealed.extend_from_slice(&[0xff, 0xd9]);

    let grey = structure.components == 1;
    let options = DecoderOptions::new_fast()
        .set_strict_mode(true)
        .set_max_width(limits.max_side as usize)
        .set_max_height(limits.max_side as usize)
        .jpeg_set_max_scans(structure.scans + 1)
        .jpeg_set_out_colorspace(if grey { ColorSpace::Luma } else { ColorSpace::RGB });
    let mut decoder = JpegDecoder::new_with_options(ZCursor::new(&sealed[..]), options);
    let pixels = decoder
        .decode()
        .map_err(|e| Rejection::undecodable(format!("The JPEG does not decode: {e}.")))?;

    let (samples, chroma) =
        if grey { (pixels, Chroma::default()) } else { rgb_to_grey(&pixels, &structure) };
    let expected = structure.width as usize * structure.height as usize;
    if samples.len() != expected {
        return Err(Rejection::undecodable(
            "The JPEG holds another number of pixels than it says.",
        ));
    }
    Ok(Decoded {
        width: structure.width,
        height: structure.height,
        samples: Samples::Eight(samples),
        chroma,
        orientation: decoder.exif().map_or(1, |exif| orientation::from_exif(exif)),
        format: Format::Jpeg,
        transparent: false,
    })
}

/// A block of 8 × 8 samples takes at least one bit, so a short file cannot hold a large picture: refused
/// before its pixels are allocated. Components may have a quarter of the samples in each direction.
fn refuse_hollow(structure: &Structure, bytes: usize) -> Result<(), Rejection> {
    let blocks = structure.width.div_ceil(8) as usize * structure.height.div_ceil(8) as usize;
    let subsampling = if structure.components == 1 { 1 } else { 16 };
    if bytes < blocks / 8 / subsampling {
        return Err(Rejection::undecodable(format!(
            "The JPEG says {}×{} pixels but has only {bytes} bytes.",
            structure.width, structure.height
        )));
    }
    Ok(())
}

fn rgb_to_grey(rgb: &[u8], structure: &Structure) -> (Vec<u8>, Chroma) {
    let width = structure.width as usize;
    let mut sum = ChromaSum::default();
    let mut grey = vec![0; rgb.len() / 3];
    for (row, out) in rgb.chunks_exact(width * 3).zip(grey.chunks_exact_mut(width)) {
        sum.convert_rgb(row, out);
    }
    (grey, sum.finish())
}
