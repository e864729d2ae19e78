//! The device thread with engines that do as told.

use super::*;
use lobar_core::engine::{EngineError, NoveltyPolicy, Prediction};
use lobar_core::finding::ModelRef;
use lobar_core::population::Population;

type Script = Box<dyn FnMut(usize) -> Result<Vec<Result<Prediction, String>>, EngineError> + Send>;

/// An engine that does what the test says, given the size of each batch.
struct Scripted(EngineInfo, Script);

impl Engine for Scripted {
    fn info(&self) -> &EngineInfo {
        &self.0
    }
    fn infer(
        &mut self,
        batch: &[NetworkInput],
    ) -> Result<Vec<Result<Prediction, String>>, EngineError> {
        (self.1)(batch.len())
    }
}

fn device(
    script: impl FnMut(usize) -> Result<Vec<Result<Prediction, String>>, EngineError> + Send + 'static,
) -> Device {
    Device::start("engine", engine("test", script)).expect("a thread")
}

fn engine(
    version: &str,
    script: impl FnMut(usize) -> Result<Vec<Result<Prediction, String>>, EngineError> + Send + 'static,
) -> Box<dyn Engine + Send> {
    let model =
        ModelRef { version: version.into(), sha256: "0".repeat(64), preprocessing: "test".into() };
    let info = EngineInfo {
        model,
        threshold: 0.5,
        max_batch: 8,
        replicas: 1,
        device: "test".into(),
        tolerance: 0.0,
        novelty_policy: NoveltyPolicy::NoDetector,
        population: Population::default(),
    };
    Box::new(Scripted(info, Box::new(script)))
}

fn good(n: usize) -> Result<Vec<Result<Prediction, String>>, EngineError> {
    let prediction =
        Prediction { probability: 0.25, bacterial: None, heatmap: None, novelty: None };
    Ok(vec![Ok(prediction); n])
}

fn bad(size: usize) -> Result<Vec<Result<Prediction, String>>, EngineError> {
    Err(EngineError::Batch { size, why: "out of memory".into() })
}

async fn reply(device: &Device, n: usize) -> Reply {
    device.submit(vec![probe(); n]).await.expect("a reply")
}

#[tokio::test]
async fn a_batch_that_fails_as_a_whole_succeeds_in_halves() {
    let device = device(|n| if n > 2 { bad(n) } else { good(n) });
    let reply = reply(&device, 4).await;
    assert!(reply.was_cut);
    let answers = reply.answers.expect("no fault");
    assert_eq!(answers.len(), 4);
    assert!(answers.iter().all(|answer| matches!(answer, Answer::Prediction(_))));
}

#[tokio::test]
async fn a_half_that_fails_too_spoils_only_itself() {
    let mut call = 0;
    let device = device(move |n| {
        call += 1;
        if call <= 2 { bad(n) } else { good(n) }
    });
    let answers = reply(&device, 5).await.answers.expect("no fault");
    let failed: Vec<bool> =
        answers.iter().map(|answer| matches!(answer, Answer::Failed(_))).collect();
    assert_eq!(failed, [true, true, true, false, false]);
}

#[tokio::test]
async fn an_image_that_fails_alone_is_blamed_only_when_the_engine_still_works() {
    let mut call = 0;
    let works = device(move |n| {
        call += 1;
        if call == 1 { bad(n) } else { good(n) }
    });
    let answers = reply(&works, 1).await.answers.expect("no fault");
    assert!(matches!(answers.as_slice(), [Answer::Failed(_)]));
    let broken = device(bad);
    assert!(matches!(reply(&broken, 1).await.answers, Err(DeviceFault::Lost(_))));
}

#[tokio::test]
async fn too_few_answers_are_no_answers() {
    let device = device(|n| good(n.saturating_sub(usize::from(n == 3))));
    let answers = reply(&device, 3).await.answers.expect("no fault");
    assert_eq!(answers.len(), 3);
    assert!(answers.iter().all(|answer| matches!(answer, Answer::Prediction(_))));
}

#[tokio::test]
async fn each_reply_names_the_engine_that_computed_it_and_the_old_one_comes_back() {
    let (go, gone) = sync_channel(2);
    let old = engine("old", move |n| {
        gone.recv().expect("the test lives");
        good(n)
    });
    let mut device = Device::start("engine", old).expect("a thread");
    // Both are handed over before the change, and none is computed yet.
    let before = [device.submit(vec![probe()]), device.submit(vec![probe()])];
    let old = device.change(engine("new", good)).unwrap_or_else(|_| panic!("there is a place"));
    assert_eq!(device.info.model.version, "new");
    for _ in 0..2 {
        go.send(()).expect("the engine lives");
    }
    for reply in before {
        assert_eq!(reply.await.expect("a reply").engine.model.version, "old");
    }
    assert_eq!(old.await.expect("it comes back").info().model.version, "old");
    assert_eq!(reply(&device, 1).await.engine.model.version, "new");
}

#[tokio::test]
async fn a_panic_is_a_fault_and_ends_the_thread() {
    let device = device(|_| panic!("as told"));
    let reply = reply(&device, 1).await;
    assert!(matches!(&reply.answers, Err(DeviceFault::Panicked(why)) if why == "as told"));
    device.close(Duration::from_secs(60)).await;
}

#[test]
fn an_engine_without_work_shows_that_it_answers_and_one_that_does_not_falls_silent() {
    let until = |what: &str, reached: &dyn Fn() -> bool| {
        let began = Instant::now();
        while !reached() {
            assert!(began.elapsed() < Duration::from_secs(60), "in vain: {what}");
            std::thread::sleep(Duration::from_millis(1));
        }
    };
    let calls = Arc::new(std::sync::atomic::AtomicUsize::new(0));
    let counted = calls.clone();
    // It answers three times, and then no more.
    let script = move |n| match counted.fetch_add(1, std::sync::atomic::Ordering::SeqCst) {
        0..3 => good(n),
        3 => panic!("by the test"),
        _ => Err(EngineError::DeviceLost("gone".into())),
    };
    let pulse = Pulse::new(Duration::ZERO);
    let watch = Some((pulse.clone(), Duration::from_millis(1)));
    let device = Device::run("engine", engine("test", script), watch).expect("a thread");
    let asked = || calls.load(std::sync::atomic::Ordering::SeqCst);
    until("it was asked, and is asked again", &|| asked() > 5);
    until("its silence is told of", &|| pulse.stopped_for().is_some());
    drop(device);
    until("it rests once it is out of use", &|| pulse.stopped_for().is_none());
}
