//! A peer that sends what a test wants: PDUs as they are.

use std::net::SocketAddr;

use dicom_dictionary_std::{tags, uids};
use dicom_object::InMemDicomObject;
use dicom_transfer_syntax_registry::entries;
use dicom_ul::pdu::{
    AssociationRQ, PDataValue, PDataValueType, Pdu, PresentationContextProposed, UserVariableItem,
    read_pdu, write_pdu,
};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::fixture::{CR, EXPLICIT, PATIENCE, image};

/// A connection.
pub struct Peer(pub TcpStream);

/// A PDU as bytes.
pub fn bytes(pdu: &Pdu) -> Vec<u8> {
    let mut bytes = Vec::new();
    write_pdu(&mut bytes, pdu).expect("written");
    bytes
}

/// An A-ASSOCIATE-RQ for C-ECHO (context 1) and C-STORE of CR (context 3).
pub fn request(title: &str) -> Pdu {
    let context = |id, class: &str| PresentationContextProposed {
        id,
        abstract_syntax: class.into(),
        transfer_syntaxes: vec![EXPLICIT.into()],
    };
    Pdu::AssociationRQ(AssociationRQ {
        protocol_version: 1,
        calling_ae_title: title.into(),
        called_ae_title: "LOBAR".into(),
        application_context_name: "1.2.840.10008.3.1.1.1".into(),
        presentation_contexts: vec![context(1, uids::VERIFICATION), context(3, CR)],
        user_variables: vec![
            UserVariableItem::MaxLength(16384),
            UserVariableItem::ImplementationClassUID("1.2.3".into()),
        ],
    })
}

/// A P-DATA-TF of one fragment.
pub fn fragment(context: u8, kind: PDataValueType, is_last: bool, data: &[u8]) -> Pdu {
    Pdu::PData { data: vec![value(context, kind, is_last, data)] }
}

/// A fragment.
pub fn value(context: u8, kind: PDataValueType, is_last: bool, data: &[u8]) -> PDataValue {
    PDataValue { presentation_context_id: context, value_type: kind, is_last, data: data.to_vec() }
}

/// A command set: its elements, in implicit VR little endian.
pub fn command(elements: &[(u16, &[u8])]) -> Vec<u8> {
    let mut all = Vec::new();
    for (element, value) in elements {
        let mut value = value.to_vec();
        if value.len() % 2 == 1 {
            value.push(0);
        }
        all.extend([0, 0]);
        all.extend(element.to_le_bytes());
        all.extend((value.len() as u32).to_le_bytes());
        all.extend(value);
    }
    let mut command = vec![0, 0, 0, 0, 4, 0, 0, 0];
    command.extend((all.len() as u32).to_le_bytes());
    command.extend(all);
    command
}

/// A C-ECHO-RQ.
pub fn echo(message: u16) -> Vec<u8> {
    command(&[
        (0x0002, uids::VERIFICATION.as_bytes()),
        (0x0100, &0x0030_u16.to_le_bytes()),
        (0x0110, &message.to_le_bytes()),
        (0x0800, &0x0101_u16.to_le_bytes()),
    ])
}

/// A C-STORE-RQ of CR.
pub fn store(message: u16, uid: &str) -> Vec<u8> {
    store_of(message, uid, 0x0001)
}

/// The same, of no data set.
pub fn without_data_set(message: u16, uid: &str) -> Vec<u8> {
    store_of(message, uid, 0x0101)
}

fn store_of(message: u16, uid: &str, data_set: u16) -> Vec<u8> {
    command(&[
        (0x0002, CR.as_bytes()),
        (0x0100, &0x0001_u16.to_le_bytes()),
        (0x0110, &message.to_le_bytes()),
        (0x0700, &0_u16.to_le_bytes()),
        (0x0800, &data_set.to_le_bytes()),
        (0x1000, uid.as_bytes()),
    ])
}

/// The data set of an image, in explicit VR little endian.
pub fn data_set(uid: &str) -> Vec<u8> {
    encoded(&image(uid))
}

/// The same without its pixels.
pub fn short_data_set(uid: &str) -> Vec<u8> {
    let mut image = image(uid);
    image.remove_element(tags::PIXEL_DATA);
    encoded(&image)
}

fn encoded(set: &InMemDicomObject) -> Vec<u8> {
    let mut bytes = Vec::new();
    let syntax = entries::EXPLICIT_VR_LITTLE_ENDIAN.erased();
    set.write_dataset_with_ts(&mut bytes, &syntax).expect("written");
    bytes
}

impl Peer {
    /// Connects, and asks for nothing.
    pub async fn connect(to: SocketAddr) -> Self {
        Self(TcpStream::connect(to).await.expect("connects"))
    }

    /// An accepted association.
    pub async fn associate(to: SocketAddr, title: &str) -> Self {
        let mut peer = Self::connect(to).await;
        peer.send(&request(title)).await;
        let answer = peer.read().await;
        assert!(matches!(answer, Some(Pdu::AssociationAC(_))), "{answer:?}");
        peer
    }

    pub async fn send(&mut self, pdu: &Pdu) {
        self.send_bytes(&bytes(pdu)).await;
    }

    pub async fn send_bytes(&mut self, bytes: &[u8]) {
        self.0.write_all(bytes).await.expect("sent");
    }

    /// The next PDU; `None` where the connection is closed.
    pub async fn read(&mut self) -> Option<Pdu> {
        tokio::time::timeout(PATIENCE, self.next()).await.expect("an answer in time")
    }

    async fn next(&mut self) -> Option<Pdu> {
        let mut whole = vec![0; 6];
        self.0.read_exact(&mut whole).await.ok()?;
        let length = u32::from_be_bytes([whole[2], whole[3], whole[4], whole[5]]) as usize;
        whole.resize(6 + length, 0);
        self.0.read_exact(&mut whole[6..]).await.ok()?;
        read_pdu(&whole[..], 1 << 20, true).expect("a PDU")
    }

    /// The elements of the next answer: Command Field, Message ID Being Responded To, Status.
    pub async fn answer(&mut self) -> (u16, u16, u16) {
        let Some(Pdu::PData { data }) = self.read().await else { panic!("no answer") };
        assert!(data[0].value_type == PDataValueType::Command && data[0].is_last);
        let element = |wanted: u16| number(&data[0].data, wanted).expect("it is there");
        (element(0x0100), element(0x0120), element(0x0900))
    }

    /// Stores a data set in fragments of at most this many bytes; the status.
    pub async fn store(&mut self, message: u16, uid: &str, set: &[u8], piece: usize) -> u16 {
        let command = store(message, uid);
        self.send(&fragment(3, PDataValueType::Command, true, &command)).await;
        let mut chunks = set.chunks(piece).peekable();
        while let Some(chunk) = chunks.next() {
            let last = chunks.peek().is_none();
            self.send(&fragment(3, PDataValueType::Data, last, chunk)).await;
        }
        let (field, answered, status) = self.answer().await;
        assert_eq!((field, answered), (0x8001, message));
        status
    }

    /// Asks for the end, and sees it.
    pub async fn release(mut self) {
        self.send(&Pdu::ReleaseRQ).await;
        assert!(matches!(self.read().await, Some(Pdu::ReleaseRP)));
    }
}

/// A number of two bytes in a command set.
fn number(mut command: &[u8], wanted: u16) -> Option<u16> {
    while command.len() >= 8 {
        let element = u16::from_le_bytes([command[2], command[3]]);
        let length = u32::from_le_bytes([command[4], command[5], command[6], command[7]]) as usize;
        if element == wanted {
            return Some(u16::from_le_bytes([command[8], command[9]]));
        }
        command = &command[8 + length..];
    }
    None
}
