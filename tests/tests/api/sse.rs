//! The event stream as bytes, so that comments and the exact framing are seen too.

use std::collections::VecDeque;

use lobar_core::position::Position;
use tokio::time::{Instant, timeout};

use crate::fixture::PATIENCE;

/// One block of the stream: an event, or a comment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Block {
    pub id: Option<i64>,
    pub event: String,
    pub data: String,
    pub comment: String,
}

/// An event that an image changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ImageEvent {
    /// Its `id`, where a stream resumes.
    pub position: i64,
    /// The number of the event.
    pub seq: i64,
    pub id: String,
    pub status: String,
}

/// An open stream.
pub struct Stream {
    answer: reqwest::Response,
    rest: String,
    blocks: VecDeque<Block>,
    /// Everything received so far.
    pub text: String,
}

impl Stream {
    pub fn new(answer: reqwest::Response) -> Self {
        Self { answer, rest: String::new(), blocks: VecDeque::new(), text: String::new() }
    }

    /// A header of the answer.
    pub fn header(&self, name: &str) -> &str {
        self.answer.headers().get(name).map_or("", |value| value.to_str().expect("text"))
    }

    /// The next block; `None` at the end of the stream.
    pub async fn block(&mut self) -> Option<Block> {
        loop {
            if let Some(block) = self.blocks.pop_front() {
                return Some(block);
            }
            let chunk = timeout(PATIENCE, self.answer.chunk()).await.expect("in time");
            let chunk = chunk.expect("an orderly stream")?;
            let text = std::str::from_utf8(&chunk).expect("whole characters");
            self.text.push_str(text);
            self.rest.push_str(text);
            while let Some(end) = self.rest.find("\n\n") {
                let block = parse(&self.rest[..end]);
                self.rest.drain(..end + 2);
                self.blocks.push_back(block);
            }
        }
    }

    /// The next block that is an event, comments left out.
    pub async fn event(&mut self) -> Option<Block> {
        let began = Instant::now();
        loop {
            let block = self.block().await?;
            if !block.event.is_empty() {
                return Some(block);
            }
            assert!(began.elapsed() < PATIENCE, "comments only");
        }
    }

    /// The next event, which must be of an image.
    pub async fn image(&mut self) -> ImageEvent {
        let block = self.event().await.expect("an open stream");
        assert_eq!(block.event, "image", "{block:?}");
        let data: serde_json::Value = serde_json::from_str(&block.data).expect("JSON");
        let members = data.as_object().expect("an object");
        assert_eq!(members.len(), 2, "id and status only: {data}");
        let position = block.id.expect("a number");
        ImageEvent {
            position,
            seq: Position::from_number(position).seq().0,
            id: data["id"].as_str().expect("an id").to_owned(),
            status: data["status"].as_str().expect("a word").to_owned(),
        }
    }

    /// The next events of images, so many.
    pub async fn images(&mut self, count: usize) -> Vec<ImageEvent> {
        let mut events = Vec::with_capacity(count);
        while events.len() < count {
            events.push(self.image().await);
        }
        events
    }
}

fn parse(text: &str) -> Block {
    let mut block = Block::default();
    for line in text.lines() {
        match line.split_once(": ") {
            Some(("id", id)) => block.id = Some(id.parse().expect("a number")),
            Some(("event", event)) => block.event = event.into(),
            Some(("data", data)) => block.data = data.into(),
            Some(("", comment)) => block.comment = comment.into(),
            Some(("retry", _)) => {}
            _ => panic!("not a line of an event stream: {line}"),
        }
    }
    block
}
