//! What readers meet of the network's answers: what is withheld until they have said what they see, and the record of what
//! they were sent.

mod sent;
mod withheld;

pub(crate) use sent::{Sent, SentWriter, sent};
pub(crate) use withheld::{Withheld, has_result};
