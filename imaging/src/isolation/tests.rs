//! Children that do their work, and children that do not.

use std::cell::RefCell;
use std::path::PathBuf;
use std::time::Duration;

use lobar_core::image::Reason;

use super::pool::Pool;
use super::{Ended, EndedBy, Program};
use crate::fuzzing::Damage;
use crate::{Limits, Rejection};

/// What a child runs that is this executable again.
#[test]
#[ignore = "run by other tests, in a process of its own"]
fn the_child() {
    let _ = super::serve(task);
}

/// What a program may ask its children: here, to misbehave.
fn task(question: &[u8], file: &[u8], _: &Limits) -> Result<Vec<u8>, Rejection> {
    match question {
        b"last byte" => Ok(file.last().copied().into_iter().collect()),
        b"refuse" => Err(Rejection::new(Reason::UnsupportedPixels, "Not these.")),
        b"panic" => panic!("{} bytes", file.len()),
        b"never end" => loop {
            std::hint::spin_loop();
        },
        b"take all memory" => {
            let mut taken = vec![1_u8; 1 << 20];
            while taken.len() < 1 << 40 {
                taken.extend_from_within(..);
            }
            Ok(taken)
        }
        _ => {
            rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::KILL)
                .expect("killed");
            Ok(Vec::new())
        }
    }
}

/// Long enough for a machine that does ten things at once.
const PATIENCE: Duration = Duration::from_secs(300);

fn children(time: Duration, memory: u64) -> Pool {
    let arguments = ["--exact", "isolation::tests::the_child", "--ignored", "--nocapture"];
    Pool::new(Program {
        path: std::env::current_exe().expect("this executable"),
        arguments: arguments.map(Into::into).into(),
        time,
        processor: 300,
        memory,
        ended: note,
    })
}

thread_local! {
    /// Children that did not outlive their files, of this test.
    static ENDED: RefCell<Vec<(EndedBy, bool)>> = const { RefCell::new(Vec::new()) };
}

fn note(Ended { by, again }: Ended) {
    ENDED.with_borrow_mut(|ended| ended.push((by, again)));
}

/// What ended since this was asked last, and whether the file was tried again.
fn ended() -> Vec<(EndedBy, bool)> {
    ENDED.with_borrow_mut(std::mem::take)
}

/// Children that say that they are ready, and then do this.
fn script(then: &str, time: Duration) -> Pool {
    let script = format!("printf R >&0; {then}");
    let arguments = vec!["-c".into(), script.into()];
    let path = PathBuf::from("/bin/sh");
    Pool::new(Program { path, arguments, time, processor: 300, memory: 1 << 30, ended: note })
}

fn fixture(name: &str) -> Vec<u8> {
    let path = format!("{}/tests/fixtures/{name}", env!("CARGO_MANIFEST_DIR"));
    std::fs::read(path).expect("a fixture")
}

fn refused(pool: &Pool, file: &[u8]) -> Rejection {
    let answer = pool.decode(file, &Limits::default(), None).expect("a child");
    let refused = answer.expect_err("it must be refused");
    assert_eq!(refused.reason, Reason::Undecodable);
    refused
}

/// A chest CR of this many pixels a side, of zeros, in RLE: a byte stands for 128.
fn packed(side: u16) -> Vec<u8> {
    let count = usize::from(side) * usize::from(side);
    let segment = [0x81u8, 0].repeat(count.div_ceil(128));
    let mut frame = vec![0; 64];
    frame[0] = 1;
    frame[4] = 64;
    frame.extend(segment);
    let mut file = vec![0; 128];
    let mut put = |tag: [u8; 4], vr: &[u8], length: &[u8], value: &[u8]| {
        file.extend([&tag[..], vr, length, value].concat());
    };
    file_elements(&mut put, side);
    put([0xe0, 0x7f, 0x10, 0], b"OB\0\0", &[0xff; 4], &[]);
    put([0xfe, 0xff, 0, 0xe0], b"", &[0; 4], &[]);
    put([0xfe, 0xff, 0, 0xe0], b"", &(frame.len() as u32).to_le_bytes(), &frame);
    file
}

type Put<'a> = &'a mut dyn FnMut([u8; 4], &[u8], &[u8], &[u8]);

fn file_elements(put: Put<'_>, side: u16) {
    let side = side.to_le_bytes();
    put(*b"DICM", b"", b"", b"");
    put([2, 0, 0x10, 0], b"UI", &[20, 0], b"1.2.840.10008.1.2.5\0");
    put([8, 0, 0x60, 0], b"CS", &[2, 0], b"CR");
    put([0x28, 0, 4, 0], b"CS", &[12, 0], b"MONOCHROME2 ");
    put([0x28, 0, 0x10, 0], b"US", &[2, 0], &side);
    put([0x28, 0, 0x11, 0], b"US", &[2, 0], &side);
    put([0x28, 0, 0, 1], b"US", &[2, 0], &[8, 0]);
    put([0x28, 0, 1, 1], b"US", &[2, 0], &[8, 0]);
}

#[test]
fn a_child_decodes_file_after_file() {
    let pool = children(PATIENCE, 1 << 30);
    for name in ["native_12.dcm", "dicom/jpeg_2000_12.dcm", "dicom/jpeg_ls_12.dcm", "rle_8.dcm"] {
        let picture = pool.decode(&fixture(name), &Limits::default(), None).expect("a child");
        let picture = picture.expect("a picture");
        assert_eq!(picture.pixels, fixture(&format!("{name}.grey")), "{name}");
        assert_eq!((picture.width, picture.height), (72, 56));
        assert_eq!(pool.idle(), 1, "{name}");
        // What it refuses is refused in the same words, and the child with it.
        let cut = fixture(name);
        let here = crate::dicom::decode_here(&cut[..cut.len() / 2], &Limits::default(), None);
        assert_eq!(refused(&pool, &cut[..cut.len() / 2]), here.expect_err("cut short"));
        assert_eq!(pool.idle(), 0, "{name}");
    }
}

#[test]
fn a_child_that_takes_too_long_is_killed_and_the_next_file_gets_another() {
    // An endless loop.
    let endless = script("while :; do :; done", Duration::from_millis(50));
    assert!(refused(&endless, &fixture("native_8.dcm")).detail.contains("longer than 50ms"));
    assert_eq!(ended(), [(EndedBy::Clock, false)]);
    assert_eq!(endless.idle(), 0);
    // A file that takes longer than it may: 64 million pixels.
    let hurried = children(Duration::from_millis(1), 1 << 30);
    assert!(refused(&hurried, &packed(8_000)).detail.contains("longer than 1ms"));
    assert_eq!(hurried.idle(), 0);
    let patient = children(PATIENCE, 1 << 30);
    let picture = patient.decode(&packed(8_000), &Limits::default(), None).expect("a child");
    assert_eq!(picture.expect("a picture").pixels.len(), 64_000_000);
}

#[test]
fn a_child_that_works_too_long_is_ended_by_the_system() {
    let endless = script("ulimit -S -t 1; while :; do :; done", PATIENCE);
    assert!(refused(&endless, &fixture("native_8.dcm")).detail.contains("on a processor"));
    assert_eq!(ended(), [(EndedBy::Processor, false)]);
    assert_eq!(endless.idle(), 0);
}

#[test]
fn a_child_that_ends_costs_one_file() {
    // Ended before it had the file: that is not the file's fault, and may be nobody's answer.
    for (then, answers) in [
        ("exit 0", false),
        ("kill -ABRT $$", false),
        ("head -c 100 >/dev/null; kill -SEGV $$", true),
    ] {
        let pool = script(then, PATIENCE);
        let answer = pool.decode(&fixture("native_8.dcm"), &Limits::default(), None);
        assert!(answer.is_some() || !answers, "{then}");
        if let Some(answer) = answer {
            let refused = answer.expect_err("no picture");
            assert!(refused.detail.contains("broke down"), "{refused}");
        }
        assert_eq!(pool.idle(), 0, "{then}");
    }
    let answers_nonsense =
        script("head -c 1000 >/dev/null; printf xyzxyzxyzxyz >&0; sleep 1000", PATIENCE);
    assert!(refused(&answers_nonsense, &fixture("native_8.dcm")).detail.contains("broke down"));
}

#[test]
fn a_file_whose_child_ends_is_tried_once_more_by_a_fresh_one() {
    let mark = std::env::temp_dir().join(format!("lobar-ended-{}", std::process::id()));
    let exe = std::env::current_exe().expect("this executable");
    let script = format!(
        "if mkdir '{}'; then printf R >&0; head -c 100 >/dev/null; kill -SEGV $$; fi; \
         exec '{}' --exact isolation::tests::the_child --ignored --nocapture",
        mark.display(),
        exe.display()
    );
    let arguments = vec!["-c".into(), script.into()];
    let (path, time) = (PathBuf::from("/bin/sh"), PATIENCE);
    let program = Program { path, arguments, time, processor: 300, memory: 1 << 30, ended: note };
    let answer = Pool::new(program).decode(&packed(100), &Limits::default(), None);
    std::fs::remove_dir(&mark).expect("the first child ran");
    assert_eq!(answer.expect("a child").expect("a picture").pixels, vec![0; 10_000]);
    assert_eq!(ended(), [(EndedBy::MemoryOrCrash, true)]);
}

#[test]
fn a_child_that_says_more_than_it_was_asked_gets_no_file() {
    let arguments = vec!["-c".into(), "printf Rx >&0; exec sleep 1000".into()];
    let (path, time) = (PathBuf::from("/bin/sh"), PATIENCE);
    let pool =
        Pool::new(Program { path, arguments, time, processor: 300, memory: 1 << 30, ended: note });
    assert!(pool.decode(&fixture("native_8.dcm"), &Limits::default(), None).is_none());
}

#[test]
fn a_question_of_the_program_is_answered_by_the_same_children() {
    let pool = children(PATIENCE, 1 << 30);
    let limits = Limits::default();
    let ask =
        |question: &[u8], most| pool.answer(question, (b"file", &limits), most).expect("a child");
    assert_eq!(ask(b"last byte", 1), Ok(vec![b'e']));
    assert_eq!(pool.idle(), 1);
    let picture = pool.decode(&packed(100), &limits, None).expect("a child");
    assert_eq!(picture.expect("a picture").pixels, vec![0; 10_000]);
    assert_eq!(ask(b"last byte", 1), Ok(vec![b'e']));
    assert_eq!(pool.idle(), 1, "one child for all");
    let refused = ask(b"refuse", 1).expect_err("refused");
    assert_eq!(
        (refused.reason, refused.detail.as_str()),
        (Reason::UnsupportedPixels, "Not these.")
    );
    assert_eq!(pool.idle(), 0, "what was refused ends with its child");
    assert!(ask(b"panic", 1).expect_err("broken").detail.contains("broke on this file"));
    assert_eq!(ended(), []);
    // An answer that is longer than it may be is none.
    assert!(ask(b"last byte", 0).is_err());
    assert_eq!(ended(), [(EndedBy::MemoryOrCrash, true), (EndedBy::MemoryOrCrash, false)]);
}

#[test]
fn a_question_that_takes_too_long_or_too_much_costs_its_own_answer() {
    let limits = Limits::default();
    for (question, time, expected) in [
        (&b"never end"[..], Duration::from_millis(500), vec![(EndedBy::Clock, false)]),
        (
            b"take all memory",
            PATIENCE,
            vec![(EndedBy::MemoryOrCrash, true), (EndedBy::MemoryOrCrash, false)],
        ),
        (b"break", PATIENCE, vec![(EndedBy::MemoryOrCrash, true), (EndedBy::MemoryOrCrash, false)]),
    ] {
        let pool = children(time, 256 << 20);
        let answer = pool.answer(question, (b"file", &limits), 1 << 40).expect("a child");
        assert_eq!(answer.expect_err("none").reason, Reason::Undecodable);
        assert_eq!(ended(), expected, "{}", String::from_utf8_lossy(question));
        assert_eq!(pool.idle(), 0);
    }
}

#[test]
fn a_child_takes_no_more_memory_than_it_may() {
    let pool = children(PATIENCE, 24 << 20);
    // The file alone is more: the system gives the child none.
    let large = [packed(100), vec![0; 60 << 20]].concat();
    assert!(refused(&pool, &large).detail.contains("24 MiB"));
    assert_eq!(ended(), [(EndedBy::MemoryOrCrash, true), (EndedBy::MemoryOrCrash, false)]);
    assert_eq!(pool.idle(), 0);
    // What its header tells is refused before.
    let answer = pool.decode(&packed(8_000), &Limits::default(), None).expect("a child");
    assert_eq!(answer.expect_err("too large").reason, Reason::TooManyPixels);
    let small = pool.decode(&packed(100), &Limits::default(), None).expect("a child");
    assert_eq!(small.expect("a picture").pixels, vec![0; 10_000]);
}

#[test]
fn a_trial_says_whether_a_child_decodes() {
    use super::trial::examine;
    assert_eq!(examine(children(PATIENCE, 1 << 30).program()), Ok(()));
    let said = |pool: Pool| examine(pool.program()).expect_err("it does not");
    assert!(said(script("exit 0", PATIENCE)).contains("no picture"));
    assert!(said(script("exec sleep 1000", Duration::from_millis(50))).contains("50ms"));
    let (path, time) = (PathBuf::from("/nowhere"), PATIENCE);
    let nowhere =
        Program { path, arguments: Vec::new(), time, processor: 300, memory: 1 << 30, ended: note };
    assert!(said(Pool::new(nowhere)).contains("can be started"));
}

#[test]
fn an_idle_child_that_was_killed_is_replaced() {
    let pool = children(PATIENCE, 1 << 30);
    for _ in 0..3 {
        let picture = pool.decode(&packed(100), &Limits::default(), None).expect("a child");
        assert!(picture.is_ok());
        pool.kill_idle();
    }
}

#[test]
fn where_no_child_can_be_started_there_is_no_answer() {
    for (path, argument) in [("/nowhere", ""), ("/bin/true", ""), ("/bin/sh", "-c:")] {
        let arguments = vec![argument.into()];
        let (path, time) = (PathBuf::from(path), PATIENCE);
        let program =
            Program { path, arguments, time, processor: 300, memory: 1 << 30, ended: note };
        assert!(Pool::new(program).decode(b"x", &Limits::default(), None).is_none());
    }
}

#[test]
fn files_side_by_side_have_children_of_their_own() {
    let pool = children(PATIENCE, 1 << 30);
    let file = fixture("dicom/jpeg_2000_12.dcm");
    std::thread::scope(|scope| {
        let decode =
            || pool.decode(&file, &Limits::default(), None).expect("a child").expect("read");
        let threads: Vec<_> = (0..4).map(|_| scope.spawn(decode)).collect();
        for thread in threads {
            assert_eq!(thread.join().expect("no panic").pixels.len(), 72 * 56);
        }
    });
    assert!((1..=4).contains(&pool.idle()));
}

#[test]
fn damaged_files_of_every_codec_cost_no_more_than_themselves() {
    let pool = children(Duration::from_secs(60), 256 << 20);
    let mut random = Damage(0x2545_f491_4f6c_dd1d);
    let names =
        ["jpeg_2000_12", "jpeg_2000_boxes", "htj2k", "jpeg_ls_12", "jpeg_ls_near", "baseline"];
    let files = names.map(|name| fixture(&format!("dicom/{name}.dcm")));
    for round in 0..300 {
        let whole = &files[round % files.len()];
        // The attributes in front are as they were.
        let (head, frame) = whole.split_at(700);
        let damaged = [head, &random.damage(frame)].concat();
        match pool.decode(&damaged, &Limits::default(), None).expect("a child") {
            Ok(picture) => assert_eq!(picture.pixels.len(), 72 * 56),
            Err(refused) => assert!(refused.detail.len() < 400, "{refused}"),
        }
    }
    let picture = pool.decode(&files[0], &Limits::default(), None).expect("a child");
    assert!(picture.is_ok());
}

#[test]
fn a_child_gives_the_same_full_depth_as_this_process() {
    let pool = children(PATIENCE, 1 << 30);
    for name in ["native_8.dcm", "native_12.dcm", "lossless_12.dcm"] {
        let file = fixture(name);
        let limits = Limits::default();
        let (here, _reserved) = crate::dicom::full_depth_here(&file, &limits).expect("read");
        let there = pool.decode_full_depth(&file, &limits).expect("a child").expect("read");
        assert!(here.samples == there.samples, "{name}");
        assert_eq!((here.signed, here.padding), (there.signed, there.padding), "{name}");
        // The same child goes on with the picture for people.
        assert!(pool.decode(&file, &limits, None).expect("a child").is_ok());
    }
}
