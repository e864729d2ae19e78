//! Storage commitment under kills: of the executable at random, and of the role between any two steps.

use std::collections::BTreeSet;
use std::time::Duration;

use lobar_testkit::services::free_port;
use lobar_tests::kit::{Lobar, executable};
use lobar_tests::rig::Rig;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use super::commitment_later::{MINUTE, kept, meanwhile, reporting_to, stored, until};
use super::fixture::{PATIENCE, serve, succeed, uid, write_image};
use super::modality::{Listener, ask};

#[tokio::test]
async fn kills_at_random_lose_no_report_that_was_promised() {
    const ROUNDS: usize = 4;
    const EACH: usize = 3;
    let folder = tempfile::tempdir().expect("a folder");
    let data = folder.path().join("data");
    let own = free_port();
    let [s3, dicom] = [free_port(), free_port()].map(|port| format!("127.0.0.1:{port}"));
    let peers = format!("CR1=127.0.0.1 site=north address=127.0.0.1:{own}");
    let up = || {
        let arguments =
            ["up", "--s3-listen", &s3, "--dicom-listen", &dicom, "--dicom-peers", &peers];
        Lobar::start(&executable(), &arguments, &data)
    };
    let port = dicom.rsplit(':').next().expect("a port").to_owned();
    let lobar = up();
    let file = write_image(folder.path(), 0).display().to_string();
    succeed("storescu", &["-aet", "CR1", "127.0.0.1", &port, &file]).await;
    lobar.kill();

    let mut random = StdRng::seed_from_u64(17);
    let mut promised = BTreeSet::new();
    for round in 0..ROUNDS {
        let lobar = up();
        let asked = (0..EACH).map(|number| {
            let (port, transaction) = (port.clone(), format!("1.2.{round}.{number}"));
            tokio::spawn(async move {
                let answer = ask(&port, &transaction, &[&uid(0)]).await;
                (transaction, answer)
            })
        });
        let asked: Vec<_> = asked.collect();
        // Within the time that Python takes to start, and then the association.
        tokio::time::sleep(Duration::from_millis(random.random_range(300..2_500))).await;
        lobar.kill();
        for one in asked {
            let (transaction, answer) = one.await.expect("no panic");
            if answer.as_deref() == Some("0000") {
                promised.insert(transaction);
            }
        }
    }
    let mut modality = Listener::start(own, &[]).await;
    let lobar = up();
    // One that is sure to be promised, so that there is something to wait for.
    assert_eq!(ask(&port, "1.2.9", &[&uid(0)]).await.expect("an answer"), "0000");
    promised.insert("1.2.9".into());
    let mut told = BTreeSet::new();
    let all = async {
        while !promised.is_subset(&told) {
            let report = modality.next().await;
            let words: Vec<&str> = report.splitn(3, ' ').collect();
            assert_eq!((words[0], words[2]), ("1", &*format!("['{}'] []", uid(0))), "{report}");
            told.insert(words[1].to_owned());
        }
    };
    let in_time = tokio::time::timeout(PATIENCE, all).await;
    assert!(in_time.is_ok(), "promised {promised:?}");
    assert_eq!(lobar.stop(), 0);
}

#[tokio::test]
async fn a_kill_between_any_two_steps_loses_no_report_and_tells_nothing_untrue() {
    // Before and after the request is kept, before and after its lease is extended for the report, which goes out then, and
    // before and after it is noted that the report was taken. How often the modality is told.
    for (step, told) in [(1, 0), (2, 1), (3, 1), (4, 1), (5, 2), (6, 1)] {
        let rig = Rig::open().await;
        let own = free_port();
        let lobar = serve(&rig, reporting_to(own)).await;
        let (image, port) = (stored(&lobar).await, lobar.port());
        let modality = Listener::start(own, &[]).await;
        rig.line.draw(step);
        let asked = image.clone();
        let asking = tokio::spawn(async move { ask(&port, "1.2.1", &[&asked]).await });
        tokio::time::timeout(PATIENCE, rig.line.reached()).await.expect("the step is reached");
        asking.abort();
        lobar.kill();
        rig.line.erase();
        rig.commitments.abandon().await;
        assert_eq!(kept(&rig).await, (u64::from((2..=5).contains(&step)), 0), "step {step}");
        let lobar = serve(&rig, reporting_to(own)).await;
        let done = until("nothing waits", async || kept(&rig).await == (0, 0));
        meanwhile(&rig, MINUTE, done).await;
        lobar.stop().await;
        let report = format!("1 1.2.1 ['{image}'] []");
        assert_eq!(modality.rest().await, vec![report; told], "step {step}");
    }
}
