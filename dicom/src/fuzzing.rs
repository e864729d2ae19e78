//! Entrances for the fuzz target: what a peer's bytes go through before anything is stored.

use bytes::Bytes;
use dicom_ul::pdu::Pdu;

use crate::command::Command;
use crate::negotiation::{Terms, agree};
use crate::pdu::{Lengths, check, parse};
use crate::tables::Encoding;
use crate::{Origin, Peers, data_set};

/// Reads `bytes` as a PDU, and what it carries as a request, a command set and data sets.
pub fn peer_bytes(bytes: &[u8]) {
    let lengths = Lengths { associate: 256 << 10, data: 128 << 10 };
    let Some(header) = bytes.first_chunk::<6>() else { return };
    let Ok(length) = check(*header, lengths) else { return };
    let Some(whole) = bytes.get(..6 + length) else { return };
    let Ok(pdu) = parse(Bytes::copy_from_slice(whole)) else { return };
    match pdu {
        Pdu::AssociationRQ(request) => {
            let Ok(title) = "LOBAR".parse() else { return };
            let peers = Peers::default();
            let terms =
                Terms { title, check_called: false, peers, more_classes: vec![], pdu_bytes: 4096 };
            let origin = Origin { address: [127, 0, 0, 1].into(), certificate: None };
            if let Some(Ok(agreed)) = agree(&request, origin, &terms) {
                let mut answer = Vec::new();
                let _ = dicom_ul::pdu::write_pdu(&mut answer, &Pdu::AssociationAC(agreed.answer));
            }
        }
        Pdu::PData { data } => data.iter().for_each(|value| message(&value.data)),
        _ => {}
    }
}

fn message(bytes: &[u8]) {
    if let Some(command) = Command::read(bytes) {
        assert!(Command::read(&command.write()).is_some());
    }
    for encoding in
        [Encoding::Implicit, Encoding::Explicit, Encoding::BigEndian, Encoding::Deflated]
    {
        let _ = data_set::identify(bytes, encoding);
        let _ = data_set::asked(bytes, encoding, 100);
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    #[test]
    fn every_seed_is_read_without_a_panic() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz/seeds/dicom_peer");
        let seeds: Vec<_> = std::fs::read_dir(folder).expect("seeds").flatten().collect();
        for seed in &seeds {
            super::peer_bytes(&std::fs::read(seed.path()).expect("a seed"));
        }
        assert!(seeds.len() > 5);
    }

    #[test]
    fn short_input_is_read_without_a_panic() {
        for kind in 0..=8 {
            for length in 0..80_u8 {
                let mut bytes = vec![kind, 0, 0, 0, 0, length];
                bytes.extend((0..length).map(|at| at.wrapping_mul(37)));
                super::peer_bytes(&bytes);
            }
        }
    }
}
