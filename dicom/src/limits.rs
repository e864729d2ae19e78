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
    /// Reports on storage commitment that are due at once.
    pub reports: usize,
    /// Reports on storage commitment that are due to one peer at once.
    pub reports_per_peer: usize,
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
    /// Pauses before a report on storage commitment is sent once more.
    pub report_again: Vec<Duration>,
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
            reports: 64,
            reports_per_peer: 4,
            listings: 16,
            artim: seconds(30),
            idle: seconds(60),
            write: seconds(30),
            storing: seconds(30),
            calling: seconds(30),
            report_again: vec![seconds(5), seconds(30), seconds(120), seconds(600)],
        }
    }
}
