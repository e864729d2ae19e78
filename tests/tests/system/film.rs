//! A film as a DICOM file, from the pixels that a JPEG has.

use lobar_imaging::Radiograph;

const CR: &[u8] = b"1.2.840.10008.5.1.4.1.1.1";
const DX: &[u8] = b"1.2.840.10008.5.1.4.1.1.1.1";
const EXPLICIT: &[u8] = b"1.2.840.10008.1.2.1";

/// How a film is written: in explicit VR little endian, as a CR of 8 bits unless something else is said.
#[derive(Clone, Copy)]
pub(crate) struct Film {
    /// Bits Stored: 8, or 12 in 16 allocated, each sample 16 times the grey and 8.
    pub(crate) stored: u16,
    /// Whether it has the window that makes greys of 12 bits.
    pub(crate) window: bool,
    /// MONOCHROME1, with all 12 bits inverted.
    pub(crate) inverted: bool,
    /// Digital X-Ray For Presentation.
    pub(crate) dx: bool,
    /// The last component of its SOP Instance UID.
    pub(crate) number: u32,
    /// Patient's Age.
    pub(crate) age: &'static str,
}

/// A CR of a child, 8 bits.
pub(crate) const FILM: Film =
    Film { stored: 8, window: false, inverted: false, dx: false, number: 1, age: "003Y" };

impl Film {
    /// Its SOP Instance UID.
    pub(crate) fn uid(&self) -> String {
        format!("1.2.3.4.{}", self.number)
    }

    /// The file.
    pub(crate) fn of(&self, radiograph: &Radiograph) -> Vec<u8> {
        let (class, modality) = if self.dx { (DX, b"DX") } else { (CR, b"CR") };
        let uid = self.uid();
        let mut meta = Vec::new();
        put(&mut meta, 2, 1, b"OB", &[0, 1]);
        put(&mut meta, 2, 2, b"UI", class);
        put(&mut meta, 2, 3, b"UI", uid.as_bytes());
        put(&mut meta, 2, 0x10, b"UI", EXPLICIT);
        let mut file = vec![0; 128];
        file.extend(b"DICM");
        put(&mut file, 2, 0, b"UL", &(meta.len() as u32).to_le_bytes());
        file.extend(meta);

        let photometric = if self.inverted { b"MONOCHROME1" } else { b"MONOCHROME2" };
        let mut put = |group, element, vr, value: &[u8]| put(&mut file, group, element, vr, value);
        let short = |value: u16| value.to_le_bytes();
        put(8, 0x16, b"UI", class);
        put(8, 0x18, b"UI", uid.as_bytes());
        put(8, 0x60, b"CS", modality);
        put(0x10, 0x10, b"PN", b"Doe^Jane");
        put(0x10, 0x1010, b"AS", self.age.as_bytes());
        put(0x18, 0x15, b"CS", b"CHEST");
        put(0x20, 0xd, b"UI", format!("1.2.3.1.{}", self.number).as_bytes());
        put(0x20, 0xe, b"UI", format!("1.2.3.2.{}", self.number).as_bytes());
        put(0x28, 2, b"US", &short(1));
        put(0x28, 4, b"CS", photometric);
        put(0x28, 0x10, b"US", &short(radiograph.height as u16));
        put(0x28, 0x11, b"US", &short(radiograph.width as u16));
        put(0x28, 0x100, b"US", &short(if self.stored == 8 { 8 } else { 16 }));
        put(0x28, 0x101, b"US", &short(self.stored));
        put(0x28, 0x102, b"US", &short(self.stored - 1));
        put(0x28, 0x103, b"US", &short(0));
        if self.window {
            put(0x28, 0x1050, b"DS", b"2048");
            put(0x28, 0x1051, b"DS", b"4096");
        }
        let samples: Vec<u8> = radiograph.pixels.iter().flat_map(|p| self.sample(*p)).collect();
        put(0x7fe0, 0x10, b"OW", &samples);
        file
    }

    fn sample(&self, grey: u8) -> Vec<u8> {
        if self.stored == 8 {
            return vec![if self.inverted { 255 - grey } else { grey }];
        }
        let sample = u16::from(grey) * 16 + 8;
        (if self.inverted { 4095 - sample } else { sample }).to_le_bytes().to_vec()
    }
}

/// An element in explicit VR little endian, of even length (PS3.5, 6.2 and 7.1.2).
fn put(file: &mut Vec<u8>, group: u16, element: u16, vr: &[u8; 2], value: &[u8]) {
    let mut value = value.to_vec();
    if value.len() % 2 == 1 {
        value.push(if matches!(vr, b"UI" | b"OW") { 0 } else { b' ' });
    }
    file.extend([group.to_le_bytes(), element.to_le_bytes(), *vr].concat());
    match vr {
        b"OB" | b"OW" => file.extend([&[0, 0][..], &(value.len() as u32).to_le_bytes()].concat()),
        _ => file.extend((value.len() as u16).to_le_bytes()),
    }
    file.extend(value);
}
