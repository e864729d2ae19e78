//! How important a thread is to the system's scheduler.

/// Lets other threads go before the calling one, and before those that it starts from here on, such as
/// libtorch's: it gets what others leave, about a sixtieth of a core that they want too. For work that
/// may take long while patients' images are answered beside it.
///
/// Does nothing where threads have no importance of their own (they have on Linux), and cannot be undone.
pub fn let_others_go_first() {
    #[cfg(target_os = "linux")]
    {
        const LEAST: i32 = 19;
        // SAFETY: setpriority takes numbers only. For the process 0 Linux changes the calling thread, and
        // a lower importance is granted to everybody; refused, it would cost speed and nothing else.
        #[allow(unsafe_code)] // setpriority has no safe wrapper
        unsafe {
            libc::setpriority(libc::PRIO_PROCESS, 0, LEAST);
        }
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    fn nice() -> i32 {
        // SAFETY: as above; it only asks.
        #[allow(unsafe_code)]
        unsafe {
            libc::getpriority(libc::PRIO_PROCESS, 0)
        }
    }

    #[test]
    fn only_the_thread_that_asks_and_those_that_it_starts_stand_back() {
        let before = nice();
        let (asked, started) = std::thread::spawn(|| {
            let_others_go_first();
            (nice(), std::thread::spawn(nice).join().unwrap())
        })
        .join()
        .unwrap();
        assert_eq!((asked, started), (19, 19));
        assert_eq!(nice(), before);
    }
}
