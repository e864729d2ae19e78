//! `lobar upload` of DICOM as it comes from a disc: nameless files and the DICOMDIR that DCMTK makes of them.

use std::path::Path;
use std::process::Command;

use lobar_tests::kit::{Client, Lobar, executable};

/// A radiograph in the text form of `dump2dcm`, of the n-th patient.
fn dump(n: usize) -> String {
    format!(
        "(0008,0016) UI 1.2.840.10008.5.1.4.1.1.1\n(0008,0018) UI 1.2.3.4.{n}\n(0008,0020) DA 20240301\n\
         (0008,0030) TM 101500\n(0008,0050) SH A{n}\n(0008,0060) CS CR\n(0010,0010) PN Mustermann^{n}\n\
         (0010,0020) LO 47{n}\n(0020,000d) UI 1.2.3.1.{n}\n(0020,000e) UI 1.2.3.2.{n}\n(0020,0010) SH S{n}\n\
         (0020,0011) IS 1\n(0020,0013) IS 1\n(0028,0002) US 1\n(0028,0004) CS MONOCHROME2\n(0028,0010) US 2\n\
         (0028,0011) US 2\n(0028,0100) US 8\n(0028,0101) US 8\n(0028,0102) US 7\n(0028,0103) US 0\n\
         (7fe0,0010) OW 0201\\040{n}\n"
    )
}

fn dcmtk(program: &str, arguments: &[&str], folder: &Path) {
    let mut command = Command::new(program);
    let ran = command.args(arguments).current_dir(folder).output().expect("DCMTK is installed");
    assert!(ran.status.success(), "{program}: {}", String::from_utf8_lossy(&ran.stderr));
}

/// A disc with three images, two of which its DICOMDIR names, and a file that is none.
fn disc(folder: &Path) {
    std::fs::create_dir_all(folder.join("IMAGES")).expect("a folder");
    for n in 1..=3 {
        let text = folder.join("dump");
        std::fs::write(&text, dump(n)).expect("written");
        dcmtk("dump2dcm", &["dump", &format!("IMAGES/IM{n}")], folder);
        std::fs::remove_file(text).expect("removed");
    }
    let arguments = ["--general-purpose", "IMAGES/IM1", "IMAGES/IM2"];
    let arguments = ["--output-file", "DICOMDIR"].into_iter().chain(arguments).collect::<Vec<_>>();
    dcmtk("dcmmkdir", &arguments, folder);
    std::fs::write(folder.join("README.TXT"), "a viewer").expect("written");
}

fn upload(lobar: &Lobar, path: &Path, state: &Path) -> String {
    let mut command = Command::new(executable());
    command.args(["upload", "--to", &lobar.page, "--site", "north"]).arg(path);
    let ran = command.env("XDG_STATE_HOME", state).output().expect("it runs");
    let said = String::from_utf8_lossy(&ran.stderr).into_owned();
    assert!(ran.status.success(), "{said}");
    said
}

#[tokio::test]
async fn a_dicomdir_stands_for_the_files_that_it_names_and_a_folder_for_all_of_its_files() {
    let here = tempfile::tempdir().expect("a folder");
    let folder = here.path().join("disc");
    disc(&folder);
    let lobar = Lobar::up(&here.path().join("data"));
    let client = Client::new(&lobar.page);

    let said = upload(&lobar, &folder.join("DICOMDIR"), here.path());
    assert!(said.contains("2 uploaded") && said.contains("2 of them DICOM"), "{said}");
    client.settled(2).await;

    // The third image; never the DICOMDIR, nor the text beside it.
    let said = upload(&lobar, &folder, here.path());
    assert!(said.contains("1 uploaded") && said.contains("1 of them DICOM"), "{said}");
    assert!(said.contains("2 were there already") && said.contains("left out"), "{said}");
    client.settled(3).await;
    assert_eq!(lobar.stop(), 0);
}
