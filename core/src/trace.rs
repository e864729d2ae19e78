//! The place of a piece of work in a distributed trace, as it travels between processes: the `traceparent` of
//! W3C Trace Context (<https://www.w3.org/TR/trace-context/#traceparent-header>).

use std::fmt;

/// Length of a `traceparent` of version 00, in bytes of ASCII.
const LENGTH: usize = 55;
/// The flags that version 00 defines: sampled, and that the trace id is random.
const FLAGS: u8 = 0b11;

/// Which span of which trace a message, a request or an event continues.
///
/// It says nothing about an image or a person, and nothing is decided by it: whoever sends a false one joins
/// their work to another trace, no more.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct TraceContext {
    trace_id: u128,
    span_id: u64,
    flags: u8,
}

impl TraceContext {
    /// Name of the header, attribute or property that carries it.
    pub const HEADER: &'static str = "traceparent";

    /// A context of its parts. `None` where an id is zero, which the standard reserves for "none".
    pub fn new(trace_id: u128, span_id: u64, flags: u8) -> Option<Self> {
        (trace_id != 0 && span_id != 0).then_some(Self { trace_id, span_id, flags: flags & FLAGS })
    }

    /// Reads a header. `None` for anything that the standard does not allow: the work then begins a trace of
    /// its own. Of versions later than 00 the known part is read.
    pub fn parse(text: &str) -> Option<Self> {
        let bytes = text.as_bytes();
        let version = byte(bytes.get(..2)?)?;
        let complete = match version {
            0 => bytes.len() == LENGTH,
            0xff => false,
            _ => bytes.get(LENGTH).is_none_or(|after| *after == b'-'),
        };
        let dashes = [2, 35, 52].iter().all(|at| bytes.get(*at) == Some(&b'-'));
        if !complete || !dashes {
            return None;
        }
        let trace_id = number(bytes.get(3..35)?)?;
        let span_id = u64::try_from(number(bytes.get(36..52)?)?).ok()?;
        Self::new(trace_id, span_id, byte(bytes.get(53..LENGTH)?)?)
    }

    /// The id that all spans of the trace share.
    pub fn trace_id(self) -> u128 {
        self.trace_id
    }

    /// The id of the span that is continued.
    pub fn span_id(self) -> u64 {
        self.span_id
    }

    /// The flags of version 00; bit 0 says that the trace is recorded.
    pub fn flags(self) -> u8 {
        self.flags
    }
}

fn byte(text: &[u8]) -> Option<u8> {
    number(text).and_then(|number| u8::try_from(number).ok())
}

/// Hexadecimal in lower case, as the standard wants it.
fn number(text: &[u8]) -> Option<u128> {
    text.iter().try_fold(0_u128, |number, digit| {
        let digit = match digit {
            b'0'..=b'9' => digit - b'0',
            b'a'..=b'f' => digit - b'a' + 10,
            _ => return None,
        };
        Some(number << 4 | u128::from(digit))
    })
}

impl fmt::Display for TraceContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "00-{:032x}-{:016x}-{:02x}", self.trace_id, self.span_id, self.flags)
    }
}

impl fmt::Debug for TraceContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const EXAMPLE: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    #[test]
    fn the_example_of_the_standard_reads_back_as_it_was_written() {
        let context = TraceContext::parse(EXAMPLE).expect("valid");
        assert_eq!(context.trace_id(), 0x4bf9_2f35_77b3_4da6_a3ce_929d_0e0e_4736);
        assert_eq!((context.span_id(), context.flags()), (0x00f0_67aa_0ba9_02b7, 1));
        assert_eq!(context.to_string(), EXAMPLE);
        assert_eq!(context.to_string().len(), LENGTH);
    }

    #[test]
    fn of_a_later_version_the_known_part_is_read() {
        let later = EXAMPLE.replacen("00", "cc", 1);
        let expected = TraceContext::parse(EXAMPLE);
        assert_eq!(TraceContext::parse(&later), expected);
        assert_eq!(TraceContext::parse(&format!("{later}-what-the-future-brings")), expected);
        assert_eq!(TraceContext::parse(&format!("{later}.what")), None);
        let all_flags = TraceContext::parse(&EXAMPLE.replace("-01", "-ff")).expect("valid");
        assert_eq!(all_flags.flags(), FLAGS);
    }

    #[test]
    fn what_the_standard_does_not_allow_is_no_context() {
        let zero_trace = format!("00-{:032x}-00f067aa0ba902b7-01", 0);
        let zero_span = format!("00-4bf92f3577b34da6a3ce929d0e0e4736-{:016x}-01", 0);
        for wrong in [
            "",
            "00",
            "incoming/north/Doe^Jane.jpeg",
            &zero_trace,
            &zero_span,
            &EXAMPLE.to_uppercase(),
            &EXAMPLE.replace('-', "_"),
            &EXAMPLE.replacen("00", "ff", 1),
            &EXAMPLE.replace("4bf", "+bf"),
            &EXAMPLE.replace("4bf", "xbf"),
            &EXAMPLE.replace("4b", "é"),
            &format!("{EXAMPLE}-"),
            &format!(" {EXAMPLE}"),
            &EXAMPLE[..54],
        ] {
            assert_eq!(TraceContext::parse(wrong), None, "{wrong:?}");
        }
    }
}
