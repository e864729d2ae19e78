//! Bounds on what peers may take.

use std::time::Duration;

/// Bounds. Times are from the last byte on, unless they say otherwise.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Connections on which no association was asked for yet; the oldest gives way to a new one.
    pub connections: usize,
    /// Associations at once.
    pub associations: usize,
    /// Associations at once of one calling AE title at one address.
    pub associations_per_peer: usize,
    /// Longest A-ASSOCIATE-RQ, in bytes.
    pub request_bytes: u32,
    /// Longest P-DATA-TF, in bytes: announced as Maximum Length Received.
    pub pdu_bytes: u32,
    /// Longest command set, in bytes.
    pub command_bytes: usize,
    /// Longest instance that is stored, as a file, in bytes: what the worker reads at most.
    pub instance_bytes: usize,
    /// Longest data set of a request for storage commitment, in bytes.
    pub request_data_bytes: usize,
    /// Instances that one request for storage commitment may name.
    pub commitment_instances: usize,
    /// Memory that data sets on their way may take in all, in bytes; those of one peer take half of it at most.
    pub memory_bytes: usize,
    /// Bytes that must come of a data set in each second, over any time as long as `idle`.
    pub bytes_per_second: u32,
    /// Reports on storage commitment that wait to be taken.
    pub reports: usize,
    /// Reports on storage commitment that wait to be taken by one peer.
    pub reports_per_peer: usize,
    /// Reports on storage commitment that one process sends at once.
    pub reports_at_once: usize,
    /// Instances that are looked for in the bucket at once.
    pub listings: usize,
    /// How long a connection may take to ask for an association, and to close after it was told to (ARTIM, PS3.8, 9.1.5).
    pub artim: Duration,
    /// How long an association may be silent, between PDUs as in the middle of one.
    pub idle: Duration,
    /// How long a peer may take to accept what is written to it.
    pub write: Duration,
    /// How long the bucket may take to make an instance durable before the peer is told to try again.
    pub storing: Duration,
    /// How long a peer that is called may take to answer.
    pub calling: Duration,
    /// Pauses before a report on storage commitment is sent once more; the last of them again and again.
    pub report_again: Vec<Duration>,
    /// How long after it was asked for a report on storage commitment is tried.
    pub report_for: Duration,
    /// How long a process that ended may have held a report on storage commitment before another one sends it.
    pub report_lease: Duration,
    /// How often it is looked for reports on storage commitment that are due.
    pub report_look: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        let seconds = Duration::from_secs;
        Self {
            connections: 256,
            associations: 128,
            associations_per_peer: 16,
            request_bytes: 256 << 10,
            pdu_bytes: 128 << 10,
            command_bytes: 16 << 10,
            instance_bytes: 64 << 20,
            request_data_bytes: 1 << 20,
            commitment_instances: 1_000,
            memory_bytes: 512 << 20,
            bytes_per_second: 16 << 10,
            reports: 1_024,
            reports_per_peer: 128,
            reports_at_once: 8,
            listings: 16,
            artim: seconds(30),
            idle: seconds(60),
            write: seconds(30),
            storing: seconds(30),
            calling: seconds(30),
            report_again: [5, 30, 120, 600, 1_800, 3_600].map(seconds).to_vec(),
            report_for: seconds(24 * 60 * 60),
            report_lease: seconds(30),
            report_look: seconds(2),
        }
    }
}
