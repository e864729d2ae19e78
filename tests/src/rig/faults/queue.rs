//! A queue.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use lobar_core::failure::PortError;
use lobar_core::queue::{
    DeadLetter, Delivery, Depth, LeaseError, Outgoing, Queue, Receipt, Settlement,
};

use super::Switch;
use crate::rig::inject::{Fault, Injector, Kind};
use crate::rig::line::Line;

/// A queue with two switches. Keeps what is put aside.
pub struct FaultyQueue {
    /// The queue itself.
    pub inner: Arc<dyn Queue>,
    name: &'static str,
    line: Arc<Line>,
    injector: Arc<Injector>,
    /// Off, it is away.
    pub switch: Switch,
    /// Off, only settling fails: what a receiver does before it may be killed.
    pub settling: Switch,
    /// Dead letters: reasons and messages.
    pub dead: Mutex<Vec<(String, Bytes)>>,
    /// The messages that were received, by receipt.
    received: Mutex<HashMap<Receipt, Bytes>>,
}

impl FaultyQueue {
    pub(in crate::rig) fn new(
        inner: Arc<dyn Queue>,
        name: &'static str,
        line: Arc<Line>,
        injector: Arc<Injector>,
    ) -> Self {
        let (switch, settling) = (Switch::default(), Switch::default());
        let (dead, received) = Default::default();
        Self { inner, name, line, injector, switch, settling, dead, received }
    }

    fn inject(&self, verb: &str, about_victim: Option<bool>) -> Option<Fault> {
        self.injector.call(&format!("{}.{verb}", self.name), about_victim)
    }

    fn is_victims(&self, receipt: &Receipt) -> bool {
        let received = self.received.lock().expect("nobody panicked");
        received.get(receipt).is_some_and(|body| self.injector.is_victims(body))
    }

    /// The error of each item about which one is due.
    fn about(&self, verb: &str, victims: &[bool]) -> Vec<Option<Kind>> {
        let any = victims.iter().any(|victim| *victim);
        let Some(fault) = self.inject(verb, Some(any)) else { return vec![None; victims.len()] };
        victims.iter().map(|victim| (*victim || !fault.only_victim).then_some(fault.kind)).collect()
    }

    /// Somebody else gets the message: its lease is lost to us.
    async fn lose(&self, receipt: &Receipt) {
        self.inner.settle(vec![(receipt.clone(), Settlement::Release)]).await;
    }

    /// The errors of items about which one is due. A conflict loses the lease and is the queue's own.
    async fn leases(&self, verb: &str, receipts: &[Receipt]) -> Vec<Option<LeaseError>> {
        let victims: Vec<bool> = receipts.iter().map(|one| self.is_victims(one)).collect();
        let mut errors = Vec::new();
        for (receipt, kind) in receipts.iter().zip(self.about(verb, &victims)) {
            errors.push(match kind {
                None => None,
                Some(Kind::Conflict) => {
                    self.lose(receipt).await;
                    None
                }
                Some(kind) => Some(kind.error().into()),
            });
        }
        errors
    }
}

/// Puts errors where they are due, and the queue's own answers everywhere else.
fn merge<E>(errors: Vec<Option<E>>, answers: Vec<Result<(), E>>) -> Vec<Result<(), E>> {
    let mut answers = answers.into_iter();
    let merged = errors.into_iter().map(|error| match error {
        Some(error) => Err(error),
        None => answers.next().expect("one answer an item"),
    });
    merged.collect()
}

#[async_trait]
impl Queue for FaultyQueue {
    async fn send(&self, messages: Vec<Outgoing>) -> Vec<Result<(), PortError>> {
        if self.switch.is_off() {
            return messages.iter().map(|_| self.switch.pass()).collect();
        }
        let victims: Vec<bool> =
            messages.iter().map(|one| self.injector.is_victims(&one.body)).collect();
        let errors: Vec<_> =
            self.about("send", &victims).into_iter().map(|kind| kind.map(Kind::error)).collect();
        let rest = messages.into_iter().zip(&errors).filter(|(_, error)| error.is_none());
        let rest = rest.map(|(message, _)| message).collect();
        merge(errors, self.line.around(self.inner.send(rest)).await)
    }
    async fn receive(
        &self,
        max: usize,
        wait: Duration,
        lease: Duration,
    ) -> Result<Vec<Delivery>, PortError> {
        self.switch.pass()?;
        if let Some(fault) = self.inject("receive", None) {
            return Err(fault.kind.error());
        }
        let mut taken = self.line.around(self.inner.receive(max, wait, lease)).await?;
        let mut received = self.received.lock().expect("nobody panicked");
        let call = format!("{}.receive", self.name);
        for one in &mut taken {
            received.insert(one.receipt.clone(), one.body.clone());
            if self.injector.garbles(&call, &one.body) {
                one.body = Bytes::from_static(b"\xff garbage");
            }
        }
        drop(received);
        Ok(taken)
    }
    async fn extend(&self, receipts: &[Receipt], lease: Duration) -> Vec<Result<(), LeaseError>> {
        if self.switch.is_off() {
            return receipts.iter().map(|_| Ok(self.switch.pass()?)).collect();
        }
        let errors = self.leases("extend", receipts).await;
        let rest = receipts.iter().zip(&errors).filter(|(_, error)| error.is_none());
        let rest: Vec<Receipt> = rest.map(|(receipt, _)| receipt.clone()).collect();
        merge(errors, self.line.around(self.inner.extend(&rest, lease)).await)
    }
    async fn settle(&self, settlements: Vec<(Receipt, Settlement)>) -> Vec<Result<(), LeaseError>> {
        if self.switch.pass().and(self.settling.pass()).is_err() {
            let away = || PortError::transient("test", "switched off");
            return settlements.iter().map(|_| Err(away().into())).collect();
        }
        let receipts: Vec<Receipt> =
            settlements.iter().map(|(receipt, _)| receipt.clone()).collect();
        let errors = self.leases("settle", &receipts).await;
        let rest = settlements.into_iter().zip(&errors).filter(|(_, error)| error.is_none());
        let rest: Vec<_> = rest.map(|(settlement, _)| settlement).collect();
        let dead = rest.iter().map(|(receipt, settlement)| match settlement {
            Settlement::Dead { reason } => Some((receipt.clone(), reason.clone())),
            _ => None,
        });
        let dead: Vec<_> = dead.collect();
        let answers = self.line.around(self.inner.settle(rest)).await;
        for (dead, answer) in dead.into_iter().zip(&answers) {
            if let (Some((receipt, reason)), Ok(())) = (dead, answer) {
                let body = self.received.lock().expect("nobody panicked").get(&receipt).cloned();
                let letter = (reason, body.unwrap_or_default());
                self.dead.lock().expect("nobody panicked").push(letter);
            }
        }
        merge(errors, answers)
    }
    async fn dead_letters(&self, max: usize) -> Result<Vec<DeadLetter>, PortError> {
        self.switch.pass()?;
        self.inner.dead_letters(max).await
    }
    async fn redrive(&self, max: usize) -> Result<usize, PortError> {
        self.switch.pass()?;
        self.inner.redrive(max).await
    }
    async fn depth(&self) -> Result<Depth, PortError> {
        self.switch.pass()?;
        match self.inject("depth", None) {
            Some(fault) => Err(fault.kind.error()),
            None => self.line.around(self.inner.depth()).await,
        }
    }
}
