//! What a service rejects for good: tried again a few times with its message, then put aside.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;

use lobar_consumer::{Cause, Rejections};
use lobar_core::failure::PortError;
use lobar_core::image::{Lane, Lanes};
use lobar_core::queue::Delivery;

use crate::fate::Fates;
use crate::intake::{Indexed, Intake, quarantined};
use crate::outage::{Outage, Service};

/// Why a message is in quarantine that could be read, and whose change the store refuses for good.
pub(crate) const REFUSED: &str = "refused";

/// An operation that may be rejected for good.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Operation {
    Admit,
    Remove,
    Quarantine,
    Send(Lane),
}

impl Operation {
    fn as_str(self) -> &'static str {
        match self {
            Self::Admit => "admit",
            Self::Remove => "remove",
            Self::Quarantine => "quarantine",
            Self::Send(_) => "send",
        }
    }

    fn service(self) -> Service {
        match self {
            Self::Admit | Self::Remove | Self::Quarantine => Service::Store,
            Self::Send(lane) => Service::Jobs(lane),
        }
    }
}

/// What was rejected since something was accepted, by operation. Messages are known by a digest.
#[derive(Debug, Default)]
pub(crate) struct AllRejections {
    admit: Rejections<u64>,
    remove: Rejections<u64>,
    quarantine: Rejections<u64>,
    send: Lanes<Rejections<u64>>,
}

impl AllRejections {
    fn of(&self, operation: Operation) -> &Rejections<u64> {
        match operation {
            Operation::Admit => &self.admit,
            Operation::Remove => &self.remove,
            Operation::Quarantine => &self.quarantine,
            Operation::Send(lane) => self.send.of(lane),
        }
    }
}

/// The same for every delivery of a message, in this process.
fn digest(message: &Delivery) -> u64 {
    let mut hasher = DefaultHasher::new();
    message.body.hash(&mut hasher);
    hasher.finish()
}

impl Intake {
    /// Decides on the items for which an operation failed. While a service is away, or rejects
    /// everything, the batch is given back and receiving pauses. What is rejected alone is tried again a
    /// few times with its message, since the service may be at fault after all, and then put aside.
    pub(crate) async fn rejected(
        &self,
        operation: Operation,
        accepted: bool,
        failed: Vec<Indexed<Arc<PortError>>>,
        fates: &mut Fates<'_>,
    ) -> Result<(), Outage> {
        let away = failed.iter().find(|(_, error)| error.is_transient());
        if let Some((_, error)) = away {
            return Err(Outage { service: operation.service(), error: error.clone() });
        }
        let places: Vec<usize> = failed.iter().map(|(place, _)| *place).collect();
        let digests = places.iter().filter_map(|place| fates.message(*place)).map(digest);
        let cause = self.rejections.of(operation).note(accepted, digests);
        for (place, error) in failed {
            self.metrics.rejections.with_label_values(&[operation.as_str()]).inc();
            if cause == Cause::Service {
                return Err(Outage { service: operation.service(), error });
            }
            let (operation, received) = (operation.as_str(), fates.received(place));
            if received < self.settings.max_receives {
                let of = self.settings.max_receives;
                tracing::error!(operation, received, of, %error, "{operation} was rejected; the notification is tried again");
                fates.retry(place);
            } else {
                tracing::error!(operation, received, %error, "{operation} was rejected; the notification is put aside after its last try");
                self.put_aside(place, operation, fates).await?;
            }
        }
        Ok(())
    }

    /// Keeps a message in the store's quarantine, or else on the dead-letter queue.
    async fn put_aside(
        &self,
        place: usize,
        operation: &'static str,
        fates: &mut Fates<'_>,
    ) -> Result<(), Outage> {
        let Some(message) = fates.message(place) else { return Ok(()) };
        let quarantined = match operation {
            // It is this that was rejected.
            "quarantine" => Err("the store rejects it, and its place in the quarantine too"),
            _ => {
                let message = quarantined(REFUSED, message.body.to_vec());
                match self.store.quarantine(&message).await {
                    Err(error) if error.is_transient() => {
                        return Err(Outage { service: Service::Store, error: Arc::new(error) });
                    }
                    Ok(()) => {
                        self.metrics.quarantined.with_label_values(&[REFUSED]).inc();
                        fates.quarantined(place);
                        Ok(())
                    }
                    Err(error) => {
                        tracing::error!(%error, "the store rejected a notification for its quarantine; it is moved to the dead-letter queue");
                        Err("rejected, and the quarantine rejects it too")
                    }
                }
            }
        };
        if let Err(reason) = quarantined {
            fates.dead(place, reason);
        }
        Ok(())
    }
}
