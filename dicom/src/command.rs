//! Command sets (PS3.7, 6.3): implicit VR little endian, whatever the presentation context has for data sets.

use lobar_core::study::Uid;

/// Command Data Set Type (0000,0800) that says that no data set follows.
const NO_DATA_SET: u16 = 0x0101;
/// The bit of Command Field (0000,0100) that makes it a response.
const RESPONSE: u16 = 0x8000;

/// What is asked for: Command Field (0000,0100).
pub(crate) mod field {
    pub(crate) const STORE: u16 = 0x0001;
    pub(crate) const ECHO: u16 = 0x0030;
    pub(crate) const EVENT_REPORT: u16 = 0x0100;
    pub(crate) const ACTION: u16 = 0x0130;
    pub(crate) const CANCEL: u16 = 0x0fff;
}

/// A command set. What it leaves out is `None`; what is no UID, too.
#[derive(Clone, PartialEq, Eq, Default)]
pub(crate) struct Command {
    /// Command Field (0000,0100).
    pub(crate) field: u16,
    /// Affected SOP Class UID (0000,0002), or Requested SOP Class UID (0000,0003).
    pub(crate) class: Option<Uid>,
    /// Affected SOP Instance UID (0000,1000), or Requested SOP Instance UID (0000,1001).
    pub(crate) instance: Option<Uid>,
    /// Message ID (0000,0110), or Message ID Being Responded To (0000,0120).
    pub(crate) message: u16,
    /// Whether a data set follows.
    pub(crate) has_data: bool,
    /// Status (0000,0900).
    pub(crate) status: Option<u16>,
    /// Event Type ID (0000,1002), or Action Type ID (0000,1008).
    pub(crate) kind: Option<u16>,
}

impl Command {
    /// Reads a command set. `None` where elements are cut off, or there is no Command Field.
    pub(crate) fn read(mut bytes: &[u8]) -> Option<Self> {
        let mut command = Self::default();
        let mut has_field = false;
        while !bytes.is_empty() {
            let (head, rest) = bytes.split_first_chunk::<8>()?;
            let [a, b, c, d, length @ ..] = *head;
            let length = usize::try_from(u32::from_le_bytes(length)).ok()?;
            let (value, rest) = rest.split_at_checked(length)?;
            bytes = rest;
            let number = || <[u8; 2]>::try_from(value).ok().map(u16::from_le_bytes);
            let uid = || std::str::from_utf8(value).ok().and_then(Uid::parse);
            if [a, b] != [0, 0] {
                continue;
            }
            match u16::from_le_bytes([c, d]) {
                0x0002 | 0x0003 => command.class = uid(),
                0x0100 => (command.field, has_field) = (number()?, true),
                0x0110 | 0x0120 => command.message = number()?,
                0x0800 => command.has_data = number()? != NO_DATA_SET,
                0x0900 => command.status = number(),
                0x1000 | 0x1001 => command.instance = uid(),
                0x1002 | 0x1008 => command.kind = number(),
                _ => {}
            }
        }
        has_field.then_some(command)
    }

    /// Whether it answers something.
    pub(crate) fn is_response(&self) -> bool {
        self.field & RESPONSE != 0
    }

    /// The answer to it, without a data set.
    pub(crate) fn answer(&self, status: u16) -> Self {
        Self { field: self.field | RESPONSE, status: Some(status), has_data: false, ..self.clone() }
    }

    /// As bytes, elements in their order.
    pub(crate) fn write(&self) -> Vec<u8> {
        let mut elements = Vec::new();
        let mut put = |element: u16, value: &[u8], padding: Option<u8>| {
            let pad = if value.len() % 2 == 1 { padding } else { None };
            let length = u32::try_from(value.len()).unwrap_or(u32::MAX) + u32::from(pad.is_some());
            elements.extend([0, 0]);
            elements.extend(element.to_le_bytes());
            elements.extend(length.to_le_bytes());
            elements.extend(value);
            elements.extend(pad);
        };
        // A request of N-ACTION names what it asks for; all else names what is affected.
        let requested = self.field == field::ACTION;
        if let Some(class) = &self.class {
            put(if requested { 0x0003 } else { 0x0002 }, class.as_str().as_bytes(), Some(0));
        }
        put(0x0100, &self.field.to_le_bytes(), None);
        let message = if self.is_response() { 0x0120 } else { 0x0110 };
        put(message, &self.message.to_le_bytes(), None);
        let data = if self.has_data { 0x0001 } else { NO_DATA_SET };
        put(0x0800, &data.to_le_bytes(), None);
        if let Some(status) = self.status {
            put(0x0900, &status.to_le_bytes(), None);
        }
        if let Some(instance) = &self.instance {
            put(if requested { 0x1001 } else { 0x1000 }, instance.as_str().as_bytes(), Some(0));
        }
        if let Some(kind) = self.kind {
            let is_action = self.field & !RESPONSE == field::ACTION;
            put(if is_action { 0x1008 } else { 0x1002 }, &kind.to_le_bytes(), None);
        }
        let mut command = vec![0, 0, 0, 0, 4, 0, 0, 0];
        command.extend(u32::try_from(elements.len()).unwrap_or(u32::MAX).to_le_bytes());
        command.extend(elements);
        command
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn store() -> Command {
        Command {
            field: field::STORE,
            class: Uid::parse("1.2.840.10008.5.1.4.1.1.1"),
            instance: Uid::parse("1.2.3"),
            message: 7,
            has_data: true,
            ..Command::default()
        }
    }

    #[test]
    fn what_is_written_reads_again() {
        for command in [
            store(),
            store().answer(0xA700),
            Command { kind: Some(1), field: field::ACTION, ..store() },
        ] {
            assert!(Command::read(&command.write()) == Some(command));
        }
    }

    #[test]
    fn an_answer_names_the_message_and_the_class() {
        let answer = Command { field: field::ECHO, has_data: false, ..store() }.answer(0);
        assert_eq!((answer.field, answer.message, answer.status), (0x8030, 7, Some(0)));
        assert!(answer.class == store().class);
    }

    #[test]
    fn a_command_that_was_cut_anywhere_is_none_or_another() {
        let whole = store().write();
        for end in 0..whole.len() {
            assert!(Command::read(&whole[..end]) != Some(store()), "{end}");
        }
        assert!(Command::read(&[0, 0, 0, 1, 0xff, 0xff, 0xff, 0xff]).is_none());
    }
}
