//! How fast the endpoint is; for the benchmarks page, not for passing or failing:
//! `cargo test -p lobar-endpoint --test endpoint -- --ignored --nocapture speed`

use std::time::Instant;

use lobar_core::image::Lane;
use lobar_core::object_store::{ObjectStore as _, Upload};

use crate::fixture::{noise, start};

const MIB: usize = 1 << 20;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "a measurement"]
async fn speed() {
    let folder = tempfile::tempdir().expect("a folder");
    let endpoint = start(folder.path()).await;
    let objects = endpoint.objects().await;
    let upload = |key: String, body: &bytes::Bytes| Upload {
        key,
        body: body.clone(),
        lane: Lane::Routine,
        metadata: Default::default(),
    };

    let large = bytes::Bytes::from(noise(256 * MIB, 1));
    let began = Instant::now();
    let put = objects.put(upload("large".to_owned(), &large)).await.expect("stored");
    println!("put of 256 MiB: {:.2} s", began.elapsed().as_secs_f64());
    let began = Instant::now();
    let got = objects.fetch(&put, u64::MAX).await.expect("there").bytes;
    println!("get of 256 MiB: {:.2} s", began.elapsed().as_secs_f64());
    assert!(got == large);

    let small = bytes::Bytes::from(noise(20_000, 2));
    for clients in [1, 16, 64] {
        let each = 1024 / clients;
        let began = Instant::now();
        let work = (0..clients).map(|client| {
            let (objects, upload, small) = (&objects, &upload, &small);
            async move {
                for n in 0..each {
                    let key = format!("{clients}/{client}/{n}");
                    objects.put(upload(key, small)).await.expect("stored");
                }
            }
        });
        futures::future::join_all(work).await;
        let rate = 1024.0 / began.elapsed().as_secs_f64();
        println!("puts of 20 kB, {clients} at once: {rate:.0} a second");
    }
    let began = Instant::now();
    assert_eq!(endpoint.events(1 + 3 * 1024).await.len(), 1 + 3 * 1024);
    println!("their events were there {:.2} s later", began.elapsed().as_secs_f64());
    endpoint.stop().await;
}
