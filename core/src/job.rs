//! The message between ingest and worker.

use serde::{Deserialize, Serialize};

use crate::object::ImageId;

/// The schema version this build writes. A reader accepts every version up to it.
const VERSION: u32 = 1;

/// "Look at this image." Everything else about it is in the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Job {
    /// Which image.
    pub image: ImageId,
}

/// The fields are written in this order.
#[derive(Serialize, Deserialize)]
struct Wire {
    image: ImageId,
    v: u32,
}

/// A job message that cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum JobError {
    /// Not the JSON of a job.
    #[error("not a job message: {0}")]
    Malformed(#[from] serde_json::Error),
    /// Written by a newer release than this one.
    #[error("job message of version {0}, this release reads up to {VERSION}")]
    TooNew(u32),
}

impl Job {
    /// The message's bytes.
    pub fn encode(self) -> Vec<u8> {
        let wire = Wire { image: self.image, v: VERSION };
        serde_json::to_vec(&wire).expect("a number and an id have a JSON form")
    }

    /// Reads a message. Unknown fields are ignored, so that a newer release may add some.
    pub fn decode(bytes: &[u8]) -> Result<Self, JobError> {
        let wire: Wire = serde_json::from_slice(bytes)?;
        if wire.v > VERSION {
            return Err(JobError::TooNew(wire.v));
        }
        Ok(Self { image: wire.image })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_job_reads_back_and_unknown_fields_are_ignored() {
        let job = Job { image: ImageId(uuid::Uuid::from_u128(7)) };
        assert_eq!(Job::decode(&job.encode()).expect("readable"), job);
        let newer = format!(r#"{{"v":1,"image":"{}","later":true}}"#, job.image);
        assert_eq!(Job::decode(newer.as_bytes()).expect("readable"), job);
    }

    /// Bytes that lie in queues: as releases up to 0.1.0 wrote them.
    #[test]
    fn the_messages_of_every_earlier_release_are_read() {
        let corpus = [r#"{"image":"6ba7b810-9dad-51d1-80b4-00c04fd430c8","v":1}"#];
        for message in corpus {
            let job = Job::decode(message.as_bytes()).expect("readable");
            assert_eq!(job.image.to_string(), "6ba7b810-9dad-51d1-80b4-00c04fd430c8");
        }
        // What this release writes is the last of them: with another shape, add it here and keep the others.
        let job = Job::decode(corpus[0].as_bytes()).expect("readable");
        assert_eq!(job.encode(), corpus[0].as_bytes());
    }

    #[test]
    fn a_message_of_a_newer_schema_or_garbage_is_refused() {
        let newer = format!(r#"{{"v":2,"image":"{}"}}"#, uuid::Uuid::nil());
        assert!(matches!(Job::decode(newer.as_bytes()), Err(JobError::TooNew(2))));
        assert!(matches!(Job::decode(b"\xff"), Err(JobError::Malformed(_))));
    }
}
