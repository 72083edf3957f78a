//! A changer of disk files whose program moves media between slots and drives.

use std::path::{Path, PathBuf};

use crate::commands::{ask, back_up};
use crate::site::Site;
use crate::site::client::{Client, TestFile, files};
use crate::site::director::{Catalog, Director, Heard};

/// Two drives and a changer of four slots in `dir`.
fn changer(dir: &Path) -> (Site, PathBuf) {
    let library = dir.join("library");
    std::fs::create_dir(&library).unwrap();
    for slot in 1..=4 {
        std::fs::write(library.join(format!("slot{slot}")), "").unwrap();
    }
    std::fs::write(library.join("barcodes"), "1:A1\n2:A2\n3:A3\n4:A4\n").unwrap();
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/daemon/changer.sh");
    let at = library.display();
    let drive = |n: u32| {
        format!(
            "Device {{ Name = Drive{n}; Media Type = File; Device Type = File; Archive Device = \"{at}/drive{n}\"; Drive Index = {n}; \
             Label Media = yes; Random Access = yes; Automatic Mount = yes; Autochanger = yes; Volume Poll Interval = 1 second }}"
        )
    };
    let text = format!(
        "}}\n{}\n{}\nAutochanger {{ Name = Chg; Device = Drive0, Drive1; Changer Device = \"{at}/config\"; \
         Changer Command = \"/bin/sh {script} %c %o %S %a %d\"",
        drive(0),
        drive(1)
    );
    (Site::start(dir, &text), library)
}

fn label(console: &mut Director, name: &str, slot: u32, drive: u32) -> String {
    ask(console, &format!("label Chg VolumeName={name} PoolName=P MediaType=File Slot={slot} drive={drive}"))
}

fn loaded(library: &Path, drive: u32) -> String {
    std::fs::read_to_string(library.join(format!("loaded{drive}"))).unwrap_or_default().trim().to_owned()
}

fn restore(site: &Site, catalog: &Catalog, id: u32, bootstrap: &str) -> (Vec<(i32, i32, Vec<u8>)>, Heard) {
    let mut director = Director::stock(site.port, catalog);
    let mut heard = Heard::default();
    let name = format!("R.{id}");
    let (_, _, key) = director.start_job(id, &name, 'R');
    director.bootstrap(bootstrap);
    assert_eq!(director.line(), "3000 OK bootstrap\n");
    let answer = director.use_named(&mut heard, false, "Chg", "P");
    assert!(answer.starts_with("3000 OK use device"), "{answer}");
    director.send("run");
    let client = Client::connect(site.port, &name, &key);
    let records = std::thread::scope(|scope| {
        let restoring = scope.spawn(|| client.restore());
        director.until_end(&mut heard);
        restoring.join().unwrap()
    });
    (records, heard)
}

fn data_of(records: &[(i32, i32, Vec<u8>)], index: usize) -> Vec<u8> {
    records.iter().filter(|r| r.0 == index as i32 && r.1 == 2).flat_map(|r| r.2.clone()).collect()
}

fn check_restored(records: &[(i32, i32, Vec<u8>)], set: &[TestFile]) {
    for (n, file) in set.iter().enumerate() {
        assert!(data_of(records, n + 1) == file.data, "{} differs", file.name);
    }
}

#[test]
fn a_console_moves_and_labels_what_is_in_the_slots() {
    let dir = tempfile::tempdir().unwrap();
    let (site, library) = changer(dir.path());
    let mut console = Director::stock(site.port, &Catalog::default());
    assert_eq!(
        ask(&mut console, "autochanger slots Chg\n"),
        "3306 Issuing autochanger \"slots\" command.\nslots=4\n"
    );
    let list = ask(&mut console, "autochanger list Chg \n");
    assert_eq!(list, "3306 Issuing autochanger \"list\" command.\n1:A1\n2:A2\n3:A3\n4:A4\n");
    let answer = label(&mut console, "A2", 2, 0);
    assert!(
        answer.contains("3304 Issuing autochanger \"load Volume A2, Slot 2, Drive 0\" command.\n"),
        "{answer}"
    );
    assert!(answer.contains("\n3000 OK label. VolBytes="), "{answer}");
    assert_eq!(loaded(&library, 0), "2");
    let list = ask(&mut console, "autochanger listall Chg \n");
    assert!(list.contains("\nD:0:F:2:A2\nD:1:E\nS:1:F:A1\n"), "{list}");

    // From the other drive it is fetched, and it has a label already.
    let answer = label(&mut console, "B2", 2, 1);
    assert!(answer.ends_with("3920 Cannot label Volume because it is already labeled: \"A2\"\n"), "{answer}");
    assert_eq!((loaded(&library, 0), loaded(&library, 1)), ("0".into(), "2".into()));
    let answer = ask(&mut console, "readlabel Chg Slot=2 drive=0\n");
    assert!(answer.ends_with("3001 Volume=A2 Slot=2\n"), "{answer}");
    let answer = ask(&mut console, "readlabel Chg Slot=3 drive=0\n");
    assert!(answer.contains("3902 Cannot mount Volume"), "{answer}");
    let answer = ask(&mut console, "readlabel Chg Slot=9 drive=0\n");
    assert!(answer.contains("3992 Bad autochanger \"load slot 9\": ERR="), "{answer}");
    assert!(answer.contains("source Element Address 9 is Empty"), "{answer}");
    let answer = ask(&mut console, "mount Chg drive=1 slot=2\n");
    assert!(answer.ends_with(" is mounted with Volume \"A2\"\n"), "{answer}");
    assert!(ask(&mut console, "status").contains("   Slot 2 is loaded in drive 1.\n"));
    let answer = ask(&mut console, "unmount Chg drive=1 slot=0\n");
    assert!(answer.ends_with(" unmounted.\n"), "{answer}");
    assert_eq!(loaded(&library, 1), "0");
    assert!(ask(&mut console, "unmount Chg drive=1 slot=0\n").starts_with("3901 "));

    let relabel = "relabel Chg OldName=A2 NewName=C2 PoolName=P MediaType=File Slot=2 drive=0";
    let answer = ask(&mut console, relabel);
    assert!(answer.contains("\n3000 OK label."), "{answer}");
    assert!(library.join("drive0").exists(), "the link of the drive is not a Volume's file");
    let answer = ask(&mut console, "readlabel Chg Slot=2 drive=0\n");
    assert!(answer.ends_with("3001 Volume=C2 Slot=2\n"), "{answer}");
}

#[test]
fn a_job_goes_over_two_slots_and_is_restored_from_them() {
    let dir = tempfile::tempdir().unwrap();
    let (site, library) = changer(dir.path());
    let catalog = Catalog::with_limit(300_000);
    let mut console = Director::stock(site.port, &catalog);
    for slot in 1..=4 {
        let answer = label(&mut console, &format!("A{slot}"), slot, 0);
        assert!(answer.contains("3000 OK label."), "{answer}");
        catalog.add_in_slot(&format!("A{slot}"), "P", slot);
    }
    let set = files(12, 60_000, 3);
    let heard = back_up(&site, &catalog, 1, "Chg", "P", &set);
    assert_eq!(heard.end_field("JobStatus"), 84, "{}", heard.messages());
    let media = heard.job_media();
    assert!(media.len() >= 2, "{media:?}");
    let said = heard.messages();
    assert!(
        said.contains("load Volume A1, Slot 1, Drive 0") && said.contains("load Volume A2, Slot 2, Drive 0"),
        "{said}"
    );
    assert!(std::fs::metadata(library.join("slot1")).unwrap().len() > 200_000);

    let session = Director::stock(site.port, &catalog).start_job(99, "X.99", 'B').1;
    let bootstrap =
        format!("Volume=\"A1|A2\"\nVolSessionId=1\nVolSessionTime={session}\nFileIndex=1-12\nCount=12\n");
    let (records, heard) = restore(&site, &catalog, 2, &bootstrap);
    assert_eq!(heard.end_field("JobStatus"), 84, "{}", heard.messages());
    check_restored(&records, &set);
}

#[test]
fn jobs_of_two_pools_have_a_drive_each_and_no_slot_in_common() {
    let dir = tempfile::tempdir().unwrap();
    let (site, _library) = changer(dir.path());
    let catalog = Catalog::default();
    let mut console = Director::stock(site.port, &catalog);
    for (slot, pool) in [(1, "P"), (2, "Q"), (3, "P"), (4, "Q")] {
        label(&mut console, &format!("A{slot}"), slot, slot % 2);
        catalog.add_in_slot(&format!("A{slot}"), pool, slot);
    }
    let set = files(20, 20_000, 1);
    for round in 0..3 {
        let ends: Vec<Heard> = std::thread::scope(|scope| {
            let run = |id: u32, pool: &'static str| {
                let (site, catalog, set) = (&site, &catalog, &set);
                scope.spawn(move || back_up(site, catalog, id, "Chg", pool, set))
            };
            [run(2 * round + 1, "P"), run(2 * round + 2, "Q")]
                .map(|j| j.join().unwrap())
                .into_iter()
                .collect()
        });
        for heard in ends {
            assert_eq!(heard.end_field("JobStatus"), 84, "{}", heard.messages());
        }
    }
    // One Volume after the other is filled: those of one pool stay where they are.
    assert_eq!((catalog.row("A1").jobs, catalog.row("A2").jobs), (3, 3));
}

#[test]
fn what_cannot_be_loaded_or_is_another_volume_is_passed_over() {
    let dir = tempfile::tempdir().unwrap();
    let (site, library) = changer(dir.path());
    let catalog = Catalog::default();
    let mut console = Director::stock(site.port, &catalog);
    for slot in 2..=4 {
        label(&mut console, &format!("A{slot}"), slot, 0);
    }
    ask(&mut console, "unmount Chg drive=0 slot=0\n");
    ask(&mut console, "mount Chg drive=0 slot=0\n");
    catalog.add_in_slot("A0", "P", 0);
    for slot in 1..=4 {
        catalog.add_in_slot(&format!("A{slot}"), "P", slot);
    }
    // Slot 1 is empty; in slot 2 is what was in slot 3.
    std::fs::remove_file(library.join("slot1")).unwrap();
    std::fs::rename(library.join("slot3"), library.join("slot2")).unwrap();
    catalog.change("A3", |row| row.in_changer = false);
    let heard = back_up(&site, &catalog, 1, "Chg", "P", &files(3, 1000, 1));
    assert_eq!(heard.end_field("JobStatus"), 84, "{}", heard.messages());
    let said = heard.messages();
    assert!(said.contains("Volume \"A1\" cannot be loaded: the Changer Command"), "{said}");
    assert!(said.contains("source Element Address 1 is Empty"), "{said}");
    assert!(said.contains("Autochanger Volume \"A2\" not found in slot 2"), "{said}");
    assert_eq!((catalog.row("A2").in_changer, catalog.row("A2").status.as_str()), (false, "Append"));
    let media = format!(" {}", catalog.row("A4").id);
    assert!(heard.job_media().iter().all(|row| row.ends_with(&media)), "{:?}", heard.job_media());
}

#[test]
fn a_restore_says_why_its_volume_cannot_be_loaded() {
    let dir = tempfile::tempdir().unwrap();
    let (site, library) = changer(dir.path());
    let catalog = Catalog::default();
    let mut console = Director::stock(site.port, &catalog);
    label(&mut console, "A1", 1, 0);
    catalog.add_in_slot("A1", "P", 1);
    let set = files(3, 1000, 1);
    let heard = back_up(&site, &catalog, 1, "Chg", "P", &set);
    assert_eq!(heard.end_field("JobStatus"), 84, "{}", heard.messages());
    ask(&mut console, "unmount Chg drive=0 slot=0\n");
    std::fs::remove_file(library.join("slot1")).unwrap();
    let (records, heard) = restore(&site, &catalog, 2, "Volume=\"A1\"\nFileIndex=1-3\nCount=3\n");
    assert!(records.is_empty());
    assert_ne!(heard.end_field("JobStatus"), 84);
    assert!(
        heard.messages().contains("Volume \"A1\" cannot be read: the Changer Command"),
        "{}",
        heard.messages()
    );
}
