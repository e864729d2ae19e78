//! The wire format of Protocol Buffers (<https://protobuf.dev/programming-guides/encoding/>), as far
//! as ONNX uses it: whole numbers and things with a length.

/// A message as it is written, field by field.
#[derive(Debug, Default)]
pub(crate) struct Message(Vec<u8>);

const VARINT: u64 = 0;
const FIXED_64: u64 = 1;
const LENGTH: u64 = 2;
const FIXED_32: u64 = 5;

impl Message {
    /// A whole number.
    pub(crate) fn integer(&mut self, field: u64, value: i64) {
        self.varint(field << 3 | VARINT);
        self.varint(value.cast_unsigned());
    }

    /// Bytes, or text.
    pub(crate) fn bytes(&mut self, field: u64, value: impl AsRef<[u8]>) {
        let value = value.as_ref();
        self.varint(field << 3 | LENGTH);
        self.varint(value.len() as u64);
        self.0.extend_from_slice(value);
    }

    /// A message within this one.
    pub(crate) fn message(&mut self, field: u64, value: Self) {
        self.bytes(field, value.0);
    }

    /// What was written.
    pub(crate) fn into_bytes(self) -> Vec<u8> {
        self.0
    }

    fn varint(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.0.push(value as u8 | 0x80);
            value >>= 7;
        }
        self.0.push(value as u8);
    }
}

/// What a field holds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Value<'a> {
    /// A whole number.
    Integer(i64),
    /// Bytes, text, a message, or packed numbers.
    Bytes(&'a [u8]),
    /// A number of fixed width, of which nothing here is read.
    Fixed,
}

impl<'a> Value<'a> {
    /// The number.
    pub(crate) fn integer(self) -> Result<i64, String> {
        match self {
            Self::Integer(value) => Ok(value),
            _ => Err("a field is no whole number".to_owned()),
        }
    }

    /// The bytes.
    pub(crate) fn bytes(self) -> Result<&'a [u8], String> {
        match self {
            Self::Bytes(bytes) => Ok(bytes),
            _ => Err("a field has no length".to_owned()),
        }
    }

    /// The text.
    pub(crate) fn text(self) -> Result<String, String> {
        String::from_utf8(self.bytes()?.to_vec()).map_err(|e| e.to_string())
    }
}

/// The fields of a message in order, repeated ones as often as they are there.
pub(crate) fn fields(mut bytes: &[u8]) -> Result<Vec<(u64, Value<'_>)>, String> {
    let mut fields = Vec::new();
    while !bytes.is_empty() {
        let key = varint(&mut bytes)?;
        let value = match key & 7 {
            VARINT => Value::Integer(varint(&mut bytes)?.cast_signed()),
            LENGTH => {
                let length = varint(&mut bytes)?;
                Value::Bytes(take(&mut bytes, length)?)
            }
            FIXED_64 => take(&mut bytes, 8).map(|_| Value::Fixed)?,
            FIXED_32 => take(&mut bytes, 4).map(|_| Value::Fixed)?,
            other => return Err(format!("a field has wire type {other}")),
        };
        fields.push((key >> 3, value));
    }
    Ok(fields)
}

fn take<'a>(bytes: &mut &'a [u8], length: u64) -> Result<&'a [u8], String> {
    let length = usize::try_from(length).map_err(|e| e.to_string())?;
    let (taken, rest) = bytes.split_at_checked(length).ok_or("the message is cut")?;
    *bytes = rest;
    Ok(taken)
}

fn varint(bytes: &mut &[u8]) -> Result<u64, String> {
    let mut value = 0;
    for shift in (0..64).step_by(7) {
        let [byte] = take(bytes, 1)? else { break };
        value |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Ok(value);
        }
    }
    Err("a number has too many bytes".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        let mut inner = Message::default();
        inner.bytes(1, "text");
        let mut message = Message::default();
        for value in [0, 1, 127, 128, 300, i64::MAX, -1] {
            message.integer(3, value);
        }
        message.message(14, inner);
        let bytes = message.into_bytes();
        let read = fields(&bytes).unwrap();
        let numbers: Vec<i64> =
            read[..7].iter().map(|(field, value)| (*field, value.integer().unwrap()).1).collect();
        assert_eq!(numbers, [0, 1, 127, 128, 300, i64::MAX, -1]);
        assert_eq!(read[7].0, 14);
        let inner = fields(read[7].1.bytes().unwrap()).unwrap();
        assert_eq!(inner[0].1.text().unwrap(), "text");
        // The documentation's own example: field 1, 150.
        let mut example = Message::default();
        example.integer(1, 150);
        assert_eq!(example.into_bytes(), [0x08, 0x96, 0x01]);
    }

    #[test]
    fn a_message_that_is_cut_or_malformed_is_an_error() {
        let mut message = Message::default();
        message.bytes(2, [7; 200]);
        let bytes = message.into_bytes();
        for length in 1..bytes.len() {
            assert!(fields(&bytes[..length]).is_err(), "{length}");
        }
        assert!(fields(&[0x0b]).is_err());
        assert!(fields(&[0xff; 12]).is_err());
    }
}
