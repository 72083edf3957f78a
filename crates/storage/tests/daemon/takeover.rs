//! Epochs, adoption, crashes: what Holdfast adds (docs/extensions.md).

use crate::site::client::{Client, TestFile, files};
use crate::site::director::{Catalog, Director, Heard};
use crate::site::{Site, copy_as_crashed, eventually};

fn start(site: &Site, director: &mut Director, id: u32, heard: &mut Heard) -> Client {
    let name = format!("J.{id}");
    let (_, _, key) = director.start_job(id, &name, 'B');
    let answer = director.use_device(heard, true);
    assert!(answer.starts_with("3000 OK use device"), "{answer}");
    director.send("run");
    Client::connect(site.port, &name, &key)
}

fn back_up(site: &Site, director: &mut Director, id: u32, files: &[TestFile]) -> Heard {
    let mut heard = Heard::default();
    let client = start(site, director, id, &mut heard);
    std::thread::scope(|scope| {
        scope.spawn(|| client.back_up(files));
        director.until_end(&mut heard);
    });
    heard
}

fn names(files: &[TestFile]) -> Vec<String> {
    files.iter().map(|f| f.name.clone()).collect()
}

#[test]
fn a_stale_director_is_refused_and_so_is_one_without_an_epoch() {
    let dir = tempfile::tempdir().unwrap();
    let site = Site::start(dir.path(), "");
    let catalog = Catalog::default();
    let (mut first, answer) = Director::register(site.port, &catalog, 5, 1);
    assert!(answer.starts_with("3000 OK director epoch=5 nonce="), "{answer}");
    let (_, answer) = Director::register(site.port, &catalog, 5, 2);
    assert!(
        answer.starts_with("3981 Stale Director: epoch 5 of Director \"dir\" is active on instance \"a\""),
        "{answer}"
    );
    let (_, answer) = Director::register(site.port, &catalog, 6, 2);
    assert!(answer.starts_with("3000 OK director epoch=6"), "{answer}");
    first.send("status");
    assert!(first.line().starts_with("3981 Stale Director: epoch 6"));
    let mut stock = Director::stock(site.port, &catalog);
    assert!(stock.line().starts_with("3982 Director \"dir\" has had epochs here"));
    site.stop();
    // It is remembered over a restart.
    let site = Site::start(dir.path(), "");
    let (_, answer) = Director::register(site.port, &catalog, 5, 1);
    assert!(answer.starts_with("3981 "), "{answer}");
}

#[test]
fn a_running_job_is_taken_over_and_each_record_comes_again_until_acknowledged() {
    let dir = tempfile::tempdir().unwrap();
    let site = Site::start_with(dir.path(), "", "Checkpoint Interval = 1 second");
    let catalog = Catalog::default();
    let set = files(80, 50_000, 3);
    let mut heard = Heard::default();
    let mut first = Director::ours(site.port, &catalog, 1);
    let mut client = start(&site, &mut first, 1, &mut heard);
    std::thread::scope(|scope| {
        let listening = scope.spawn(|| {
            // What the first Director has heard, it does not acknowledge any more after the start.
            first.until(&mut heard, |h| h.texts().iter().any(|t| t.starts_with("3010 ")));
            first
                .until(&mut heard, |h| h.texts().iter().filter(|t| t.contains(" UpdateMedia ")).count() == 1);
            first.closer.close();
        });
        assert_eq!(client.open_append(), "3000 OK data\n");
        listening.join().unwrap();
    });
    for (n, file) in set.iter().enumerate() {
        client.send_file(n + 1, file).unwrap();
    }
    client.conn.writer.flush().unwrap();
    let mut second = Director::ours(site.port, &catalog, 2);
    second.send("jobs\n");
    let jobs = second.lines();
    assert!(
        jobs.contains("job JobId=1 Job=J.1 attempt=1 type=66 level=70") && jobs.contains("state=running"),
        "{jobs}"
    );
    second.send("attach JobId=1 Job=J.1 attempt=9 from=1\n");
    assert_eq!(second.line(), "3983 Job \"J.1\" attempt 9 is not known here.\n");
    second.send("attach JobId=1 Job=J.1 attempt=1 from=1\n");
    assert!(second.line().starts_with("3000 OK attach JobId=1 status="));
    std::thread::scope(|scope| {
        scope.spawn(|| {
            assert_eq!(client.end_data(), "3000 OK append data\n");
            client.close_append();
        });
        // `heard` still holds what the first one got: every record must come again, and the same.
        second.until_end(&mut heard);
    });
    assert_eq!(heard.end_field("JobStatus"), 84, "{:?}", heard.end);
    assert_eq!(heard.names(), names(&set));
    let numbers: Vec<u64> = heard.records.keys().copied().collect();
    assert_eq!(numbers, (1..=numbers.len() as u64).collect::<Vec<_>>());
    // Acknowledged, but not replicated: it can still be had.
    let mut third = Director::ours(site.port, &catalog, 3);
    third.send("jobs\n");
    assert!(third.lines().contains("state=ended status=84"));
    third.send(&format!("attach JobId=1 Job=J.1 attempt=1 from={}\n", numbers.len()));
    assert!(third.line().starts_with("3000 OK attach"));
    third.send(&format!("Ack {} replicated\n", numbers.len()));
    let journals = || -> usize {
        let root = site.volumes.join(".holdfast");
        let dirs = std::fs::read_dir(root).unwrap().map(|e| e.unwrap().path());
        dirs.filter(|p| p.to_string_lossy().contains("dir.0"))
            .map(|p| std::fs::read_dir(p).unwrap().count())
            .sum()
    };
    eventually("the journal is gone", || journals() == 0);
}

#[test]
fn a_run_that_was_lost_is_said_again_and_changes_nothing_where_the_job_runs() {
    let dir = tempfile::tempdir().unwrap();
    let site = Site::start(dir.path(), "");
    let catalog = Catalog::default();
    let set = files(3, 100, 1);
    let mut heard = Heard::default();
    let mut first = Director::ours(site.port, &catalog, 1);
    let (_, _, key) = first.start_job(1, "J.1", 'B');
    let answer = first.use_device(&mut heard, true);
    assert!(answer.starts_with("3000 OK use device"), "{answer}");
    // Its `run` is lost with the connection; the client has its order.
    first.closer.close();
    let client = Client::connect(site.port, "J.1", &key);
    let mut again = Director::ours(site.port, &catalog, 1);
    again.send("attach JobId=1 Job=J.1 attempt=1 from=1\n");
    assert!(again.line().starts_with("3000 OK attach"));
    again.send("run");
    again.send("run");
    std::thread::scope(|scope| {
        scope.spawn(|| client.back_up(&set));
        again.until_end(&mut heard);
    });
    assert_eq!(heard.end_field("JobStatus"), 84, "{}", heard.messages());
    assert_eq!(heard.names(), names(&set));
}

#[test]
fn a_request_waits_for_the_next_director_and_is_answered_once() {
    let dir = tempfile::tempdir().unwrap();
    let site = Site::start(dir.path(), "");
    let catalog = Catalog::default();
    let mut heard = Heard::default();
    let mut first = Director::ours(site.port, &catalog, 1);
    let client = start(&site, &mut first, 1, &mut heard);
    let mut client = client;
    // The first one hears the request of the mount, and dies.
    first.ack = false;
    std::thread::scope(|scope| {
        let opening = scope.spawn(move || (client.open_append(), client));
        first.until(&mut heard, |h| h.texts().iter().any(|t| t.contains(" GetVolInfo ")));
        first.closer.close();
        let mut second = Director::ours(site.port, &catalog, 2);
        second.send("attach JobId=1 Job=J.1 attempt=1 from=1\n");
        assert!(second.line().starts_with("3000 OK attach"));
        second.until(&mut heard, |h| h.texts().iter().any(|t| t.contains(" UpdateMedia ")));
        let (answer, mut client) = opening.join().unwrap();
        assert_eq!(answer, "3000 OK data\n");
        let set = files(3, 100, 1);
        let closing = scope.spawn(move || {
            for (n, file) in set.iter().enumerate() {
                client.send_file(n + 1, file).unwrap();
            }
            assert_eq!(client.end_data(), "3000 OK append data\n");
        });
        second.until_end(&mut heard);
        closing.join().unwrap();
    });
    assert_eq!(heard.end_field("JobStatus"), 84);
}

#[test]
fn a_job_whose_director_is_away_keeps_no_other_from_its_drive() {
    let dir = tempfile::tempdir().unwrap();
    let site = Site::start(dir.path(), "");
    let catalog = Catalog::default();
    let set = files(3, 100, 1);
    let mut heard = Heard::default();
    let mut first = Director::ours(site.port, &catalog, 1);
    let client = start(&site, &mut first, 1, &mut heard);
    first.ack = false;
    std::thread::scope(|scope| {
        scope.spawn(|| client.back_up(&set));
        first.until(&mut heard, |h| h.texts().iter().any(|t| t.contains(" GetVolInfo ")));
        first.closer.close();
        // The connection of this job is there.
        let beside = back_up(&site, &mut Director::ours(site.port, &catalog, 1), 2, &set);
        assert_eq!(beside.end_field("JobStatus"), 84, "{}", beside.messages());
        let mut second = Director::ours(site.port, &catalog, 1);
        second.send("attach JobId=1 Job=J.1 attempt=1 from=1\n");
        assert!(second.line().starts_with("3000 OK attach"));
        second.until_end(&mut heard);
    });
    assert_eq!(heard.end_field("JobStatus"), 84, "{}", heard.messages());
    assert_eq!(heard.names(), names(&set));
}

#[test]
fn a_job_whose_client_dies_ends_incomplete_with_its_whole_files() {
    let dir = tempfile::tempdir().unwrap();
    let site = Site::start(dir.path(), "");
    let catalog = Catalog::default();
    let set = files(50, 50_000, 4);
    let mut heard = Heard::default();
    let mut director = Director::ours(site.port, &catalog, 1);
    let mut client = start(&site, &mut director, 1, &mut heard);
    std::thread::scope(|scope| {
        let listening = scope.spawn(|| director.until_end(&mut heard));
        assert_eq!(client.open_append(), "3000 OK data\n");
        for (n, file) in set.iter().take(30).enumerate() {
            client.send_file(n + 1, file).unwrap();
        }
        client.conn.writer.flush().unwrap();
        client.conn.closer().unwrap().close();
        listening.join().unwrap();
    });
    assert_eq!(heard.end_field("JobStatus"), u64::from(b'I'), "{}", heard.messages());
    assert_eq!(heard.end_field("JobFiles"), 29);
    assert_eq!(heard.names(), names(&set[..29]));
    let heard = back_up(&site, &mut Director::ours(site.port, &catalog, 1), 2, &set);
    assert_eq!(heard.end_field("JobStatus"), 84);
}

#[test]
fn after_a_crash_the_job_is_offered_incomplete_and_the_volume_goes_on() {
    let dir = tempfile::tempdir().unwrap();
    let site = Site::start_with(dir.path(), "Maximum Block Size = 4096", "Checkpoint Interval = 1 second");
    let catalog = Catalog::default();
    let set = files(400, 60_000, 6);
    let crashed = tempfile::tempdir().unwrap();
    let mut row = crate::site::director::Row::default();
    let mut heard = Heard::default();
    let mut director = Director::ours(site.port, &catalog, 1);
    let mut client = start(&site, &mut director, 1, &mut heard);
    std::thread::scope(|scope| {
        let (sender, stop) = std::sync::mpsc::channel::<()>();
        let sending = scope.spawn(move || {
            assert_eq!(client.open_append(), "3000 OK data\n");
            let mut sent = 0;
            for (n, file) in set.iter().enumerate() {
                client.send_file(n + 1, file).unwrap();
                sent = n + 1;
                // Slowly, so that checkpoints come.
                if stop.recv_timeout(std::time::Duration::from_millis(8)).is_ok() {
                    break;
                }
            }
            client.conn.closer().unwrap().close();
            sent
        });
        director.until(&mut heard, |h| h.texts().iter().filter(|t| t.starts_with("Ckpt ")).count() >= 2);
        copy_as_crashed(&site.volumes, &crashed.path().join("vol"));
        row = catalog.row("V-0001");
        let _ = sender.send(());
        director.until_end(&mut heard);
        sending.join().unwrap();
    });
    drop(director);
    site.stop();
    // The catalog has heard nothing of what came after the crash.
    catalog.change("V-0001", |r| *r = row);

    let volume = crashed.path().join("vol/V-0001");
    let before = std::fs::read(&volume).unwrap();
    let site = Site::start_with(crashed.path(), "Maximum Block Size = 4096", "");
    let mut second = Director::ours(site.port, &catalog, 2);
    second.send("jobs\n");
    let jobs = second.lines();
    assert!(jobs.contains("state=ended status=73"), "{jobs}");
    second.send("attach JobId=1 Job=J.1 attempt=1 from=1\n");
    assert!(second.line().starts_with("3000 OK attach"));
    let mut again = Heard::default();
    second.until_end(&mut again);
    // What the first Director was told is told again, except what it had heard of the time after the crash.
    for (seq, record) in &again.records {
        let is_of_recovery = !heard.records.contains_key(seq) || heard.records[seq] != *record;
        let text = String::from_utf8_lossy(record);
        assert!(
            !is_of_recovery || !text.starts_with("UpdCat ") || again.names().len() <= heard.names().len()
        );
    }
    assert_eq!(again.end_field("JobStatus"), u64::from(b'I'));
    let files_kept = again.end_field("JobFiles") as usize;
    assert!(files_kept > 0);
    assert_eq!(again.names().len(), files_kept);
    assert_eq!(again.job_media().len(), 1);
    drop(second);

    // The next job appends behind what is there; nothing of it is changed but a torn block at the end.
    let set = files(20, 30_000, 8);
    let heard = back_up(&site, &mut Director::ours(site.port, &catalog, 2), 2, &set);
    assert_eq!(heard.end_field("JobStatus"), 84, "{}", heard.messages());
    let after = std::fs::read(&volume).unwrap();
    let start: usize = heard.job_media()[0].split(' ').nth(4).unwrap().parse().unwrap();
    assert!(before.len() - start.min(before.len()) < 4096, "more than a torn block was cut off");
    assert_eq!(after[..start.min(before.len())], before[..start.min(before.len())]);
    let mut reader = volume::VolumeReader::new(after, volume::Verify::Checksum);
    loop {
        match reader.next_block().unwrap() {
            volume::VolumeBlock::End => break,
            volume::VolumeBlock::Damage(damage) => panic!("{damage:?}"),
            volume::VolumeBlock::Block { .. } => {}
        }
    }
}

#[test]
fn a_stop_of_the_daemon_ends_its_jobs_incomplete_at_a_checkpoint() {
    let dir = tempfile::tempdir().unwrap();
    let site = Site::start(dir.path(), "");
    let catalog = Catalog::default();
    let set = files(30, 20_000, 2);
    let mut heard = Heard::default();
    let mut director = Director::ours(site.port, &catalog, 1);
    let mut client = start(&site, &mut director, 1, &mut heard);
    std::thread::scope(|scope| {
        let listening = scope.spawn(|| director.until_end(&mut heard));
        assert_eq!(client.open_append(), "3000 OK data\n");
        for (n, file) in set.iter().enumerate() {
            client.send_file(n + 1, file).unwrap();
        }
        client.conn.writer.flush().unwrap();
        site.stop();
        listening.join().unwrap();
    });
    assert_eq!(heard.end_field("JobStatus"), u64::from(b'I'), "{}", heard.messages());
    let kept = heard.end_field("JobFiles") as usize;
    assert_eq!(heard.names(), names(&set[..kept]));
}

#[test]
fn nothing_is_overwritten_on_a_stale_word() {
    let dir = tempfile::tempdir().unwrap();
    let site = Site::start(dir.path(), "");
    let catalog = Catalog::default();
    let mut director = Director::ours(site.port, &catalog, 1);
    let nonce = director.nonce.clone();
    back_up(&site, &mut director, 1, &files(5, 5000, 1));
    let row = catalog.row("V-0001");
    let before = std::fs::read(site.volume("V-0001")).unwrap();
    let mut director = Director::ours(site.port, &catalog, 1);
    let mut relabel = |label: u64, writes: u64, nonce: &str, lease: u64| {
        director.send(&format!(
            "relabel Dev OldName=V-0001 NewName=V-0001 PoolName=P MediaType=File Slot=0 drive=-1 expect_label={label} \
             expect_writes={writes} nonce={nonce} lease_ms={lease}\n"
        ));
        director.lines()
    };
    let other = format!("{:032x}", 99);
    for (label, writes, nonce, lease) in [
        (row.label_time + 1, row.writes, nonce.as_str(), u64::MAX),
        (row.label_time, row.writes - 1, nonce.as_str(), u64::MAX),
        (row.label_time, row.writes, other.as_str(), u64::MAX),
        (row.label_time, row.writes, nonce.as_str(), 0),
    ] {
        let answer = relabel(label, writes, nonce, lease);
        assert!(answer.starts_with("3985 Volume \"V-0001\" is not as the Director believes: "), "{answer}");
        assert_eq!(std::fs::read(site.volume("V-0001")).unwrap(), before);
    }
    let answer = relabel(row.label_time, row.writes, &nonce, u64::MAX);
    assert!(answer.starts_with("3000 OK label. VolBytes="), "{answer}");
    assert!(std::fs::metadata(site.volume("V-0001")).unwrap().len() < 300);
}

/// As it is asked for again when the Director died before its catalog had it.
#[test]
fn what_holds_nothing_but_a_label_of_ours_is_labelled_once_more() {
    let dir = tempfile::tempdir().unwrap();
    let site = Site::start(dir.path(), "");
    let catalog = Catalog::default();
    back_up(&site, &mut Director::ours(site.port, &catalog, 1), 1, &files(5, 5000, 1));
    let row = catalog.row("V-0001");
    let mut director = Director::ours(site.port, &catalog, 1);
    let nonce = director.nonce.clone();
    let mut ask = |line: &str| {
        director.send(&format!("{line} PoolName=P MediaType=File Slot=0 drive=-1\n"));
        director.lines()
    };
    for _ in 0..2 {
        let answer = ask("label Dev VolumeName=V-0050");
        assert!(answer.starts_with("3000 OK label. VolBytes="), "{answer}");
    }
    // This one holds files.
    let answer = ask("label Dev VolumeName=V-0001");
    assert!(answer.starts_with("3920 "), "{answer}");
    let permit = format!(
        "expect_label={} expect_writes={} nonce={nonce} lease_ms={}",
        row.label_time,
        row.writes,
        u64::MAX
    );
    for _ in 0..2 {
        let answer = ask(&format!("relabel Dev OldName=V-0001 NewName=V-0060 {permit}"));
        assert!(answer.starts_with("3000 OK label. VolBytes="), "{answer}");
        assert!(site.volume("V-0060").exists() && !site.volume("V-0001").exists());
    }
    // Nor does another Volume go for one whose own is not there.
    let wrong = permit.replace(&format!("expect_writes={}", row.writes), "expect_writes=99");
    let answer = ask(&format!("relabel Dev OldName=V-0001 NewName=V-0060 {wrong}"));
    assert!(answer.starts_with("3985 "), "{answer}");
}

#[test]
fn recycling_needs_a_permit_and_then_starts_the_volume_anew() {
    let dir = tempfile::tempdir().unwrap();
    let site = Site::start(dir.path(), "");
    let catalog = Catalog::default();
    back_up(&site, &mut Director::ours(site.port, &catalog, 1), 1, &files(5, 5000, 1));
    let row = catalog.row("V-0001");
    let before = std::fs::read(site.volume("V-0001")).unwrap();
    catalog.change("V-0001", |r| r.status = "Recycle".into());
    // Without a permit the Volume is left alone, and another one is taken.
    let mut director = Director::ours(site.port, &catalog, 1);
    let mut heard = Heard::default();
    let client = start(&site, &mut director, 2, &mut heard);
    let set = files(5, 5000, 2);
    std::thread::scope(|scope| {
        scope.spawn(|| client.back_up(&set));
        director.until(&mut heard, |h| h.messages().contains("3985 "));
        catalog.change("V-0001", |r| {
            r.permit = format!(
                " HfLabelTime={} HfWrites={} HfNonce={} HfLeaseMs={}",
                row.label_time,
                row.writes,
                director.nonce,
                u64::MAX
            );
        });
        director.until_end(&mut heard);
    });
    assert_eq!(heard.end_field("JobStatus"), 84);
    assert!(heard.messages().contains("Recycled volume \"V-0001\""), "{}", heard.messages());
    let after = std::fs::read(site.volume("V-0001")).unwrap();
    assert_ne!(after[..200], before[..200]);
    assert!(catalog.row("V-0001").label_time > row.label_time);
}

/// JobIds are each Director's own: a job that ends must not give back what another Director's job of that number holds.
#[test]
fn jobs_of_one_number_hold_the_device_each_for_itself() {
    let dir = tempfile::tempdir().unwrap();
    let site = Site::start(dir.path(), "");
    let catalog = Catalog::default();
    let set = files(5, 10_000, 1);
    let (mut one, mut other) = (Director::stock(site.port, &catalog), Director::stock(site.port, &catalog));
    let mut waiting = Heard::default();
    let (_, _, key) = other.start_job(7, "Other.7", 'B');
    assert!(other.use_device(&mut waiting, true).starts_with("3000 OK use device"));
    let ended = back_up(&site, &mut one, 7, &set);
    assert_eq!(ended.end_field("JobStatus"), 84);
    other.send("run");
    let client = Client::connect(site.port, "Other.7", &key);
    std::thread::scope(|scope| {
        scope.spawn(|| client.back_up(&set));
        other.until_end(&mut waiting);
    });
    assert_eq!(waiting.end_field("JobStatus"), 84);
    assert_eq!(catalog.names().len(), 1, "{:?}", catalog.names());
}
