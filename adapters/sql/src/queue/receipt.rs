//! The receipt of a delivery.

use lobar_core::queue::Receipt;

/// A receipt, read.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct LeaseReceipt {
    pub(super) id: i64,
    pub(super) lease: i64,
}

impl LeaseReceipt {
    pub(super) fn receipt(self) -> Receipt {
        Receipt(format!("{}.{}", self.id, self.lease))
    }

    /// `None` for a text that this adapter never gave out: nothing is held by it.
    pub(super) fn parse(receipt: &Receipt) -> Option<Self> {
        let (id, lease) = receipt.0.split_once('.')?;
        Some(Self { id: id.parse().ok()?, lease: lease.parse().ok()? })
    }
}
