//! Copies: a reading job of the daemon feeds a writing one, on the same daemon or another.

use crate::backup::{assert_all, back_up, bsr, restore, sessions_on};
use crate::site::client::{Client, files};
use crate::site::director::{Catalog, Director, Heard};
use crate::site::{Site, eventually};

/// Starts both jobs of a copy; gives the session of the written one.
fn begin_copy(
    (from, reader, heard_reading): (&Site, &mut Director, &mut Heard),
    (writer, heard_writing): (&mut Director, &mut Heard),
    bootstrap: &str,
    bandwidth: u64,
) -> (u32, u32) {
    let (_, _, key) = reader.start_job_with(8, "Copy.1", 'c', &format!(" bandwidth={bandwidth}"));
    reader.bootstrap(bootstrap);
    assert_eq!(reader.line(), "3000 OK bootstrap\n");
    let answer = reader.use_device(heard_reading, false);
    assert!(answer.starts_with("3000 OK use device"), "{answer}");
    let (session, time, dummy) = writer.start_job_with(9, "J.9", 'B', " sd_client=1");
    assert_eq!(dummy, "xxx");
    let answer = writer.use_named(heard_writing, true, "Dev", "Copies");
    assert!(answer.starts_with("3000 OK use device"), "{answer}");
    reader.send("run");
    writer.send(&format!(
        "storage address=127.0.0.1 port={} ssl=0 Job=Copy.1 Authentication={key}\n",
        from.port
    ));
    let answer = std::iter::repeat_with(|| writer.next(heard_writing)).flatten().next();
    assert_eq!(answer.as_deref(), Some("2000 OK storage\n"));
    writer.send("run");
    (session, time)
}

fn check_copy(same: bool, connect: impl Fn(u16, &Catalog) -> Director) {
    let dir = tempfile::tempdir().unwrap();
    let near = Site::start(&dir.path().join("near"), "Maximum File Size = 1000000");
    let far = (!same).then(|| Site::start(&dir.path().join("far"), "Maximum File Size = 1000000"));
    let to = far.as_ref().unwrap_or(&near);
    let (near_rows, far_rows) = (Catalog::default(), Catalog::default());
    let far_rows = if same { near_rows.clone() } else { far_rows };
    let files = files(60, 200_000, 3);
    let (_, session) = back_up(&near, &mut connect(near.port, &near_rows), 1, &files);
    let volume = near_rows.names()[0].clone();
    // As a Director has it, for which the copies' Pool is another one.
    near_rows.change(&volume, |row| row.status = "Full".into());

    let (mut reader, mut writer) = (connect(near.port, &near_rows), connect(to.port, &far_rows));
    let (mut reading, mut writing) = (Heard::default(), Heard::default());
    let copied = begin_copy(
        (&near, &mut reader, &mut reading),
        (&mut writer, &mut writing),
        &bsr(&volume, session, 60),
        0,
    );
    std::thread::scope(|scope| {
        scope.spawn(|| reader.until_end(&mut reading));
        writer.until_end(&mut writing);
    });
    for heard in [&reading, &writing] {
        assert_eq!(heard.end_field("JobStatus"), 84, "{:?}", heard.messages());
        assert_eq!(heard.end_field("JobFiles"), 60);
    }
    assert_eq!(reading.end_field("JobBytes"), writing.end_field("JobBytes"));
    assert_eq!(writing.names().len(), 60);
    let rows = writing.job_media();
    assert!(rows.len() > 3, "{rows:?}");
    let copy_volume = far_rows.names().pop().unwrap();
    let records = |site: &Site, volume: &str, id: u32| {
        let all = sessions_on(site, volume).remove(&id).unwrap();
        all.into_iter().filter(|(index, ..)| *index > 0).collect::<Vec<_>>()
    };
    let (original, copy) = (records(&near, &volume, session.0), records(to, &copy_volume, copied.0));
    assert_eq!(original.len(), copy.len());
    assert!(original == copy, "the copy's records differ");
}

#[test]
fn a_copy_between_two_daemons_has_the_records_of_the_original() {
    check_copy(false, |port, catalog| Director::ours(port, catalog, 3));
}

#[test]
fn a_copy_on_one_daemon_has_the_records_of_the_original() {
    check_copy(true, |port, catalog| Director::ours(port, catalog, 3));
}

#[test]
fn a_stock_director_copies() {
    check_copy(true, Director::stock);
}

#[test]
fn a_canceled_reader_ends_both_and_keeps_what_was_checkpointed() {
    let dir = tempfile::tempdir().unwrap();
    let site = Site::start_with(dir.path(), "", "Checkpoint Interval = 1; Checkpoint Bytes = 1");
    let rows = Catalog::default();
    let files = files(40, 60_000, 5);
    let (_, session) = back_up(&site, &mut Director::ours(site.port, &rows, 3), 1, &files);
    let volume = rows.names()[0].clone();
    rows.change(&volume, |row| row.status = "Full".into());
    let (mut reader, mut writer) = (Director::ours(site.port, &rows, 3), Director::ours(site.port, &rows, 3));
    let (mut reading, mut writing) = (Heard::default(), Heard::default());
    begin_copy(
        (&site, &mut reader, &mut reading),
        (&mut writer, &mut writing),
        &bsr(&volume, session, 40),
        50_000,
    );
    let port = site.port;
    std::thread::scope(|scope| {
        scope.spawn(|| reader.until_end(&mut reading));
        // So slow that it cannot be over: some files are there, and then it is canceled.
        let has_files = |t: &String| t.starts_with("Ckpt files=") && !t.starts_with("Ckpt files=0 ");
        writer.until(&mut writing, |heard| heard.texts().iter().any(has_files));
        let mut console = Director::ours(port, &rows, 3);
        console.send("cancel Job=Copy.1\n");
        assert!(console.lines().contains("marked to be canceled"));
        writer.until_end(&mut writing);
    });
    assert_eq!(reading.end_field("JobStatus"), u64::from(b'A'));
    assert_eq!(writing.end_field("JobStatus"), u64::from(b'I'), "{}", writing.messages());
    let whole = writing.end_field("JobFiles");
    assert!(whole > 0 && whole < 40, "{whole}");
    eventually("the drive is free", || {
        let mut console = Director::ours(site.port, &rows, 3);
        console.send(".status running\n");
        !console.lines().contains("JobId=9")
    });
}

/// A bootstrap of sessions by their JobMedia rows.
fn bsr_of_rows(sessions: &[((u32, u32), Vec<String>)]) -> String {
    let mut text = String::new();
    for ((id, time), rows) in sessions {
        for row in rows {
            let words: Vec<&str> = row.split(' ').collect();
            let [first, last, start_file, end_file, start, end, volume, ..] = words.as_slice() else {
                panic!("{row}")
            };
            let address = |file: &str, block: &str| -> u64 {
                (file.parse::<u64>().unwrap() << 32) + block.parse::<u64>().unwrap()
            };
            text.push_str(&format!(
                "Volume=\"{volume}\"\nMediaType=\"File\"\nVolSessionId={id}\nVolSessionTime={time}\nVolAddr={}-{}\nFileIndex={first}-{last}\n",
                address(start_file, start),
                address(end_file, end)
            ));
        }
    }
    text
}

#[test]
fn sessions_that_lie_in_each_other_come_one_after_another() {
    let dir = tempfile::tempdir().unwrap();
    let site = Site::start(dir.path(), "");
    let catalog = Catalog::default();
    let all = files(24, 500_000, 11);
    let mut jobs: Vec<_> = (1..=2)
        .map(|id| {
            let mut director = Director::ours(site.port, &catalog, 3);
            let mut heard = Heard::default();
            let name = format!("J.{id}");
            let (session, time, key) = director.start_job(id, &name, 'B');
            director.use_device(&mut heard, true);
            director.send("run");
            (director, heard, (session, time), Client::connect(site.port, &name, &key))
        })
        .collect();
    let mut clients = Vec::new();
    let rows: Vec<_> = std::thread::scope(|scope| {
        let mut listening = Vec::new();
        for (mut director, mut heard, session, client) in jobs.drain(..) {
            clients.push(client);
            listening.push(scope.spawn(move || {
                director.until_end(&mut heard);
                assert_eq!(heard.end_field("JobStatus"), 84, "{:?}", heard.end);
                (session, heard.job_media())
            }));
        }
        for client in &mut clients {
            assert_eq!(client.open_append(), "3000 OK data\n");
        }
        for (n, file) in all.iter().enumerate() {
            for client in &mut clients {
                client.send_file(n + 1, file).unwrap();
            }
        }
        for mut client in clients.drain(..) {
            assert_eq!(client.end_data(), "3000 OK append data\n");
            client.close_append();
        }
        listening.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    let bootstrap = bsr_of_rows(&rows);
    let (records, heard) = restore(&site, &mut Director::ours(site.port, &catalog, 3), 9, &bootstrap);
    assert_eq!(heard.end_field("JobStatus"), 84, "{}", heard.messages());
    let numbers: Vec<i32> = records.iter().map(|(index, ..)| *index).collect();
    let restarts = numbers.windows(2).filter(|pair| pair[1] < pair[0]).count();
    assert_eq!(restarts, 1, "the sessions came mixed: {numbers:?}");
    let (first, second) = records.split_at(records.len() / 2);
    assert_all(first, &all);
    assert_all(second, &all);
}
