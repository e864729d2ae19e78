//! Contract suites: one a port, run on every adapter.
//!
//! A test is a sentence of the port's documentation, as a function that is generic over a harness. A
//! harness starts an adapter that nobody has used, opens further handles on the same service as another
//! process would, and moves time. Nothing here asks which adapter it is.
//!
//! A macro a suite makes one test a sentence, and one that fails when the port's documentation says a
//! sentence that is not tested:
//!
//! ```ignore
//! mod in_a_file_of_its_own {
//!     lobar_testkit::queue_contract!(super::OwnFile);
//! }
//! ```

pub mod accounts;
pub mod audit;
pub mod batches;
pub mod cache;
pub mod commitments;
pub mod erasure;
pub mod exposure;
pub mod presence;
pub mod quarantine;
pub mod queue;
pub mod registry;
pub mod signal;
pub mod store;
pub mod studies;
pub mod verdict;
pub mod worklist;

/// Makes a test of each sentence of a suite.
#[macro_export]
macro_rules! each_sentence {
    ($harness:ty, $suite:path, $documentation:expr, [$($sentence:ident,)+]) => {
        use $suite as suite;

        #[test]
        fn every_sentence_of_the_port_is_a_test() {
            $crate::contract::assert_tested($documentation, &[$(stringify!($sentence)),+]);
        }

        $(
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $sentence() {
                suite::$sentence::<$harness>().await;
            }
        )+
    };
}

/// Fails unless each sentence of a port's documentation (its module's list) is the name of a test.
pub fn assert_tested(documentation: &str, tests: &[&str]) {
    let promised = sentences(documentation);
    assert!(!promised.is_empty(), "the port's documentation lists no sentences");
    let untested: Vec<_> =
        promised.iter().filter(|sentence| !tests.contains(&sentence.as_str())).collect();
    assert!(untested.is_empty(), "sentences without a test: {untested:?}");
}

/// The list items of a module's documentation, as names of functions.
fn sentences(documentation: &str) -> Vec<String> {
    let lines = documentation.lines().filter_map(|line| line.strip_prefix("//! - "));
    lines.map(|sentence| name(sentence.trim_end_matches('.'))).collect()
}

fn name(sentence: &str) -> String {
    let words = sentence.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty());
    words.collect::<Vec<_>>().join("_").to_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sentence_becomes_a_name() {
        let documentation =
            "//! A port.\n//!\n//! - What is sent, arrives once.\n//! - And soon.\n";
        assert_eq!(sentences(documentation), ["what_is_sent_arrives_once", "and_soon"]);
    }

    #[test]
    #[should_panic(expected = "and_soon")]
    fn a_sentence_without_a_test_is_told() {
        assert_tested("//! - And soon.", &["what_is_sent_arrives_once"]);
    }
}
