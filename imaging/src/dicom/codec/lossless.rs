//! JPEG lossless, Huffman coded (ITU-T T.81, H; process 14): 2 to 16 bits, all predictors, point transform, restarts.
//!
//! Own code, since `jpeg-decoder` ignores restart intervals in its prediction and would show another picture than was
//! sent.

use super::Samples;
use crate::Rejection;

fn undecodable(detail: &str) -> Rejection {
    Rejection::undecodable(format!("JPEG lossless: {detail}."))
}

fn cut_short() -> Rejection {
    undecodable("it is cut short")
}

/// A Huffman table (ITU-T T.81, F.2.2.3).
#[derive(Clone)]
struct Table {
    /// For each length, the first code, its index in `values` and the number of codes.
    lengths: [(u32, usize, u32); 17],
    values: Vec<u8>,
    /// By the next eight bits: the value, and the length of its code; 0 where it is longer.
    short: Box<[(u8, u8); 256]>,
}

impl Table {
    /// `None` where the lengths make no code.
    fn new(counts: &[u8], values: &[u8]) -> Option<Self> {
        let mut table = Self {
            lengths: [(0, 0, 0); 17],
            values: values.to_vec(),
            short: Box::new([(0, 0); 256]),
        };
        let (mut code, mut index) = (0u32, 0usize);
        for length in 1..=16usize {
            let count = u32::from(*counts.get(length - 1)?);
            if code + count > 1 << length {
                return None;
            }
            table.lengths[length] = (code, index, count);
            for i in 0..count {
                let value = *values.get(index + i as usize)?;
                if length <= 8 {
                    let first = ((code + i) << (8 - length)) as usize;
                    table.short[first..first + (1 << (8 - length))].fill((value, length as u8));
                }
            }
            index += count as usize;
            code = (code + count) << 1;
        }
        Some(table)
    }
}

/// The entropy-coded bits of a scan. Behind its end, and behind a marker, there are none.
struct Bits<'a> {
    bytes: &'a [u8],
    at: usize,
    buffer: u32,
    count: u32,
}

impl Bits<'_> {
    /// Fills the buffer to at least `wanted` bits; says whether it could.
    fn fill(&mut self, wanted: u32) -> bool {
        while self.count < wanted {
            let Some(&byte) = self.bytes.get(self.at) else { return false };
            if byte == 0xff {
                match self.bytes.get(self.at + 1) {
                    Some(0) => self.at += 1,
                    _ => return false,
                }
            }
            self.at += 1;
            self.buffer = self.buffer << 8 | u32::from(byte);
            self.count += 8;
        }
        true
    }

    fn take(&mut self, bits: u32) -> Option<u32> {
        if bits == 0 {
            return Some(0);
        }
        if !self.fill(bits) {
            return None;
        }
        self.count -= bits;
        Some(self.buffer >> self.count & ((1 << bits) - 1))
    }

    fn symbol(&mut self, table: &Table) -> Option<u8> {
        if self.fill(8) {
            let (value, length) = table.short[(self.buffer >> (self.count - 8) & 0xff) as usize];
            if length > 0 {
                self.count -= u32::from(length);
                return Some(value);
            }
        }
        let mut code = 0;
        for length in 1..=16 {
            code = code << 1 | self.take(1)?;
            let (first, index, count) = table.lengths[length];
            if code >= first && code - first < count {
                return table.values.get(index + (code - first) as usize).copied();
            }
        }
        None
    }

    /// The difference of a sample, modulo 2^16 (H.1.2.2).
    fn difference(&mut self, table: &Table) -> Option<i32> {
        match u32::from(self.symbol(table)?) {
            0 => Some(0),
            16 => Some(32_768),
            category @ 1..=15 => {
                let value = self.take(category)? as i32;
                let half = 1 << (category - 1);
                Some(if value < half { value - (1 << category) + 1 } else { value })
            }
            _ => None,
        }
    }

    /// Goes behind the restart marker that must be next.
    fn restart(&mut self, number: u8) -> bool {
        (self.buffer, self.count) = (0, 0);
        let found = self.bytes.get(self.at..self.at + 2) == Some(&[0xff, 0xd0 + number % 8]);
        self.at += 2;
        found
    }
}

/// The parts of a stream that decoding needs.
#[derive(Default)]
struct Header {
    tables: [Option<Table>; 4],
    interval: usize,
    precision: u32,
    /// How many components there must be.
    channels: usize,
    components: Vec<u8>,
}

/// Decodes a stream whose picture must have this width and height, and this number of components.
pub(crate) fn decode(
    bytes: &[u8],
    size: (u32, u32),
    channels: usize,
) -> Result<Samples, Rejection> {
    let mut header = Header { channels, ..Header::default() };
    let mut at = 2;
    loop {
        let rest = bytes.get(at..).ok_or_else(cut_short)?;
        let &[0xff, marker] = rest.first_chunk().ok_or_else(cut_short)? else {
            return Err(undecodable("a segment does not begin with a marker"));
        };
        if marker == 0xff {
            at += 1;
            continue;
        }
        let &[_, _, high, low] = rest.first_chunk().ok_or_else(cut_short)?;
        let length = usize::from(u16::from_be_bytes([high, low])).max(2);
        let body = rest.get(4..2 + length).ok_or_else(cut_short)?;
        at += 2 + length;
        match marker {
            0xc3 => header.frame(body, size)?,
            0xc4 => header.huffman(body)?,
            0xdd => {
                let interval = body.first_chunk().ok_or_else(cut_short)?;
                header.interval = usize::from(u16::from_be_bytes(*interval));
            }
            0xda => return header.scan(body, &bytes[at..], size),
            0xd9 => return Err(undecodable("it has no scan")),
            0xc0..=0xcf => return Err(undecodable("another process")),
            _ => {}
        }
    }
}

impl Header {
    fn frame(&mut self, body: &[u8], (width, height): (u32, u32)) -> Result<(), Rejection> {
        let &[precision, y1, y0, x1, x0, count] = body.first_chunk().ok_or_else(cut_short)?;
        let (x, y) = (u16::from_be_bytes([x1, x0]), u16::from_be_bytes([y1, y0]));
        if (u32::from(x), u32::from(y)) != (width, height) {
            return Err(undecodable(&format!("{x}×{y} pixels, not {width}×{height}")));
        }
        if !(2..=16).contains(&precision) || usize::from(count) != self.channels {
            return Err(undecodable(&format!("{count} components of {precision} bits")));
        }
        let components = body[6..].chunks_exact(3).take(count.into());
        self.components = components.clone().map(|component| component[0]).collect();
        if self.components.len() != usize::from(count)
            || components.clone().any(|component| component[1] != 0x11)
        {
            return Err(undecodable("subsampled components"));
        }
        self.precision = precision.into();
        Ok(())
    }

    fn huffman(&mut self, mut body: &[u8]) -> Result<(), Rejection> {
        while let Some((&target, rest)) = body.split_first() {
            let counts = rest.get(..16).ok_or_else(cut_short)?;
            let total: usize = counts.iter().map(|count| usize::from(*count)).sum();
            let values = rest.get(16..16 + total).ok_or_else(cut_short)?;
            let table = Table::new(counts, values);
            let slot = self.tables.get_mut(usize::from(target & 0xf));
            *slot.ok_or_else(|| undecodable("a table that cannot be"))? = table;
            body = &rest[16 + total..];
        }
        Ok(())
    }

    fn scan(&self, body: &[u8], data: &[u8], size: (u32, u32)) -> Result<Samples, Rejection> {
        let channels = self.components.len();
        if channels == 0 {
            return Err(undecodable("a scan before the frame"));
        }
        if body.len() < 4 + 2 * channels || usize::from(body[0]) != channels {
            return Err(undecodable("components in scans of their own"));
        }
        let mut tables = Vec::new();
        for (name, selector) in self.components.iter().zip(body[1..].chunks_exact(2)) {
            let table = self.tables.get(usize::from(selector[1] >> 4)).and_then(Option::as_ref);
            let table = table.filter(|_| selector[0] == *name);
            tables.push(table.ok_or_else(|| undecodable("a table or component is missing"))?);
        }
        let predictor = body[1 + 2 * channels];
        let transform = u32::from(body[3 + 2 * channels] & 0xf);
        if !(1..=7).contains(&predictor) || transform >= self.precision {
            return Err(undecodable("a predictor or point transform that cannot be"));
        }
        let samples = self.samples(data, size, &tables, predictor, transform)?;
        Ok(match self.precision {
            ..=8 => Samples::Eight(samples.into_iter().map(|sample| sample as u8).collect()),
            _ => Samples::Sixteen(samples),
        })
    }

    fn samples(
        &self,
        data: &[u8],
        (width, height): (u32, u32),
        tables: &[&Table],
        predictor: u8,
        transform: u32,
    ) -> Result<Vec<u16>, Rejection> {
        let (width, height, channels) = (width as usize, height as usize, tables.len());
        // A sample takes a bit at least.
        if data.len() < width * height * channels / 8 {
            return Err(cut_short());
        }
        let row = width * channels;
        let mut samples = vec![0u16; row * height];
        let mut bits = Bits { bytes: data, at: 0, buffer: 0, count: 0 };
        let first = 1i32 << (self.precision - transform - 1);
        let (mut left, mut restarts) = (self.interval, 0u8);
        // Behind a restart the first row of samples is predicted as that of the picture is (H.1.2.1).
        let (mut start, mut first_row) = (true, 0);
        for y in 0..height {
            for x in 0..width {
                if self.interval > 0 && left == 0 {
                    if !bits.restart(restarts) {
                        return Err(cut_short());
                    }
                    (left, restarts) = (self.interval, restarts.wrapping_add(1));
                    (start, first_row) = (true, y);
                }
                left = left.wrapping_sub(1);
                for (channel, table) in tables.iter().enumerate() {
                    let at = y * row + x * channels + channel;
                    let a = || i32::from(samples[at - channels]);
                    let b = || i32::from(samples[at - row]);
                    let c = || i32::from(samples[at - row - channels]);
                    let predicted = match () {
                        () if start => first,
                        () if y == first_row => a(),
                        () if x == 0 => b(),
                        () => match predictor {
                            1 => a(),
                            2 => b(),
                            3 => c(),
                            4 => a() + b() - c(),
                            5 => a() + ((b() - c()) >> 1),
                            6 => b() + ((a() - c()) >> 1),
                            _ => (a() + b()) >> 1,
                        },
                    };
                    let difference = bits.difference(table).ok_or_else(cut_short)?;
                    samples[at] = (predicted + difference) as u16;
                }
                start = false;
            }
        }
        if transform > 0 {
            samples.iter_mut().for_each(|sample| *sample <<= transform);
        }
        Ok(samples)
    }
}
