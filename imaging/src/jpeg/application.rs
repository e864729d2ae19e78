//! What a JPEG's application segments say: what its components are, and how the picture must be turned.

use super::frame::Component;
use super::structure::Colour;
use crate::orientation;

/// Read from the segments before the first scan.
#[derive(Debug)]
pub(crate) struct Application {
    jfif: bool,
    /// The transform of Adobe's segment.
    adobe: Option<u8>,
    exif: bool,
    /// EXIF orientation, 1..=8.
    pub(crate) orientation: u8,
}

impl Default for Application {
    fn default() -> Self {
        Self { jfif: false, adobe: None, exif: false, orientation: 1 }
    }
}

impl Application {
    /// Takes what follows the length of the segment with this marker.
    pub(crate) fn read(&mut self, marker: u8, body: &[u8]) {
        match marker {
            0xe0 if body.len() >= 14 && body.starts_with(b"JFIF\0") => self.jfif = true,
            0xe1 if !self.exif && body.starts_with(b"Exif\0") => {
                self.exif = true;
                self.orientation = body.get(6..).map_or(1, orientation::from_exif);
            }
            0xee if body.len() >= 12 && body.starts_with(b"Adobe") => self.adobe = Some(body[11]),
            _ => {}
        }
    }

    /// Whether a segment says what the components are.
    pub(crate) fn says_colour(&self) -> bool {
        self.jfif || self.adobe.is_some()
    }

    /// The colours, by the rules of libjpeg (`default_decompress_parms`), which are those of every viewer:
    /// JFIF is always YCbCr, whatever the components are called.
    pub(crate) fn colour(&self, components: &[Component]) -> Colour {
        match (components.len(), self.adobe) {
            (1, _) => Colour::Grey,
            (4, None | Some(0)) => Colour::Cmyk,
            (4, Some(_)) => Colour::Ycck,
            _ if self.jfif => Colour::YCbCr,
            (_, Some(0)) => Colour::Rgb,
            (_, Some(_)) => Colour::YCbCr,
            (_, None) if components.iter().map(|c| c.id).eq(*b"RGB") => Colour::Rgb,
            (_, None) => Colour::YCbCr,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(ids: &[u8]) -> Vec<Component> {
        ids.iter().map(|&id| Component { id, h: 1, v: 1, table: 0 }).collect()
    }

    #[test]
    fn colours_are_told_as_by_libjpeg() {
        let jfif = |a: &mut Application| a.read(0xe0, b"JFIF\0\x01\x01\0\0\x01\0\x01\0\0");
        let adobe = |transform: u8| {
            move |a: &mut Application| {
                a.read(0xee, &[b"Adobe\0\x64\0\0\0\0", &[transform][..]].concat());
            }
        };
        let told = |ids: &[u8], segments: &[&dyn Fn(&mut Application)]| {
            let mut application = Application::default();
            segments.iter().for_each(|segment| segment(&mut application));
            application.colour(&named(ids))
        };
        assert_eq!(told(&[1], &[&jfif]), Colour::Grey);
        assert_eq!(told(&[1, 2, 3], &[]), Colour::YCbCr);
        assert_eq!(told(b"RGB", &[]), Colour::Rgb);
        assert_eq!(told(b"RGB", &[&jfif]), Colour::YCbCr);
        assert_eq!(told(b"RGB", &[&adobe(1)]), Colour::YCbCr);
        assert_eq!(told(&[1, 2, 3], &[&adobe(0)]), Colour::Rgb);
        assert_eq!(told(&[1, 2, 3], &[&jfif, &adobe(0)]), Colour::YCbCr);
        assert_eq!(told(&[1, 2, 3, 4], &[]), Colour::Cmyk);
        assert_eq!(told(&[1, 2, 3, 4], &[&adobe(0)]), Colour::Cmyk);
        assert_eq!(told(&[1, 2, 3, 4], &[&adobe(2)]), Colour::Ycck);
    }
}
