//! How much of what the store keeps cannot be read, as a metric.

use std::sync::Arc;

use lobar_core::reading::UnreadableCounts;
use prometheus::core::{Collector, Desc};
use prometheus::proto::MetricFamily;
use prometheus::{IntCounterVec, Opts};

const NAME: &str = "lobar_unreadable_values_total";
const HELP: &str = "Stored values that were read and could not be understood, each time, by table. The log names each \
                    row once.";

/// Asks the store when it is collected.
pub struct UnreadableCounter {
    counts: Arc<dyn UnreadableCounts>,
    desc: Desc,
}

impl UnreadableCounter {
    pub fn new(counts: Arc<dyn UnreadableCounts>) -> prometheus::Result<Self> {
        let labels = vec!["table".to_owned()];
        let desc = Desc::new(NAME.into(), HELP.into(), labels, Default::default())?;
        Ok(Self { counts, desc })
    }
}

impl Collector for UnreadableCounter {
    fn desc(&self) -> Vec<&Desc> {
        vec![&self.desc]
    }

    fn collect(&self) -> Vec<MetricFamily> {
        let Ok(counter) = IntCounterVec::new(Opts::new(NAME, HELP), &["table"]) else {
            return Vec::new();
        };
        for (table, count) in self.counts.unreadable() {
            counter.with_label_values(&[table]).inc_by(count);
        }
        counter.collect()
    }
}

#[cfg(test)]
mod tests {
    use prometheus::{Registry, TextEncoder};

    use super::*;

    struct Known;

    impl UnreadableCounts for Known {
        fn unreadable(&self) -> Vec<(&'static str, u64)> {
            vec![("image", 0), ("finding", 3)]
        }
    }

    #[test]
    fn the_metric_is_what_the_store_says_each_time() {
        let registry = Registry::new();
        let counter = UnreadableCounter::new(Arc::new(Known)).expect("a metric");
        registry.register(Box::new(counter)).expect("registered");
        for _ in 0..2 {
            let text = TextEncoder::new().encode_to_string(&registry.gather()).expect("text");
            assert!(text.contains("lobar_unreadable_values_total{table=\"finding\"} 3"), "{text}");
            assert!(text.contains("lobar_unreadable_values_total{table=\"image\"} 0"), "{text}");
        }
    }
}
