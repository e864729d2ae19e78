//! A JPEG's frame header (ITU-T T.81, B.2.2): size, process and components.

use crate::Rejection;

#[derive(Debug)]
pub(crate) struct Frame {
    /// The start of frame marker.
    pub(crate) process: u8,
    pub(crate) width: u32,
    pub(crate) height: u32,
    pub(crate) components: Vec<Component>,
}

/// One plane of the picture.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Component {
    /// The identifier by which scans name it.
    pub(crate) id: u8,
    /// Horizontal sampling factor, 1..=4.
    pub(crate) h: u8,
    /// Vertical sampling factor, 1..=4.
    pub(crate) v: u8,
    /// Its quantization table.
    pub(crate) table: u8,
}

impl Frame {
    /// Reads what follows the length of a start of frame segment.
    pub(crate) fn read(marker: u8, segment: &[u8]) -> Result<Self, Rejection> {
        let process = match marker {
            0xc0..=0xc2 => None,
            0xc3 => Some("lossless"),
            0xc9..=0xcb => Some("arithmetic-coded"),
            _ => Some("hierarchical"),
        };
        if let Some(process) = process {
            return Err(Rejection::unsupported(format!(
                "A {process} JPEG; baseline and progressive ones are read."
            )));
        }
        let &[precision, h1, h0, w1, w0, count, ref components @ ..] = segment else {
            return Err(Rejection::undecodable("The JPEG's frame header is too short."));
        };
        if precision != 8 {
            return Err(Rejection::unsupported(format!(
                "A JPEG of {precision} bits a sample; 8 are read."
            )));
        }
        if !matches!(count, 1 | 3 | 4) || components.len() < usize::from(count) * 3 {
            return Err(Rejection::unsupported(format!(
                "A JPEG of {count} components; 1, 3 and 4 are read."
            )));
        }
        let components: Vec<Component> = components
            .chunks_exact(3)
            .take(count.into())
            .map(|c| Component { id: c[0], h: c[1] >> 4, v: c[1] & 15, table: c[2] })
            .collect();
        let twice = |i: usize| components[..i].iter().any(|other| other.id == components[i].id);
        let wrong = |c: &Component| !(1..=4).contains(&c.h) || !(1..=4).contains(&c.v);
        if (0..components.len()).any(twice) || components.iter().any(wrong) {
            return Err(Rejection::undecodable("The JPEG's frame header contradicts itself."));
        }
        Ok(Self {
            process: marker,
            width: u16::from_be_bytes([w1, w0]).into(),
            height: u16::from_be_bytes([h1, h0]).into(),
            components,
        })
    }

    /// How many groups of blocks a scan of these components has, and how many blocks a group (ITU-T T.81, A.2).
    pub(crate) fn units(&self, scanned: &[(usize, u8)]) -> (u64, u64) {
        let largest = |factor: fn(&Component) -> u8| {
            u32::from(self.components.iter().map(factor).max().unwrap_or(1))
        };
        let (h, v) = (largest(|c| c.h), largest(|c| c.v));
        let groups = |(own_h, own_v): (u32, u32)| {
            let across = (self.width * own_h).div_ceil(8 * h);
            u64::from(across) * u64::from((self.height * own_v).div_ceil(8 * v))
        };
        let factors = |&(index, _): &(usize, u8)| {
            let own = self.components[index];
            (u32::from(own.h), u32::from(own.v))
        };
        match scanned {
            // The factors of a component that stands alone say how many samples it has.
            [one] => (groups(factors(one)), 1),
            several => {
                let blocks = several.iter().map(factors).map(|(h, v)| u64::from(h * v)).sum();
                (groups((1, 1)), blocks)
            }
        }
    }
}
