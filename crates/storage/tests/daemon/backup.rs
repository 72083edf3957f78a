//! Backups and restores through a running daemon, with a Director of each kind.

use crate::site::client::{Client, TestFile, files};
use crate::site::director::{Catalog, Director, Heard};
use crate::site::{Site, eventually};
use volume::{Assembler, Integrity, VolumeBlock, VolumeReader};

/// Runs a backup to its end.
pub(crate) fn back_up(
    site: &Site,
    director: &mut Director,
    id: u32,
    files: &[TestFile],
) -> (Heard, (u32, u32)) {
    let mut heard = Heard::default();
    let name = format!("J.{id}");
    let (session, time, key) = director.start_job(id, &name, 'B');
    let answer = director.use_device(&mut heard, true);
    assert!(answer.starts_with("3000 OK use device device=Dev"), "{answer}");
    director.send("run");
    let client = Client::connect(site.port, &name, &key);
    std::thread::scope(|scope| {
        scope.spawn(|| client.back_up(files));
        director.until_end(&mut heard);
    });
    (heard, (session, time))
}

/// Restores by bootstrap; gives what came and how it ended.
pub(crate) fn restore(
    site: &Site,
    director: &mut Director,
    id: u32,
    bsr: &str,
) -> (Vec<(i32, i32, Vec<u8>)>, Heard) {
    let mut heard = Heard::default();
    let name = format!("R.{id}");
    let (_, _, key) = director.start_job(id, &name, 'R');
    director.bootstrap(bsr);
    assert_eq!(director.line(), "3000 OK bootstrap\n");
    director.use_device(&mut heard, false);
    director.send("run");
    let client = Client::connect(site.port, &name, &key);
    let records = std::thread::scope(|scope| {
        let restoring = scope.spawn(|| client.restore());
        director.until_end(&mut heard);
        restoring.join().unwrap()
    });
    (records, heard)
}

pub(crate) fn bsr(volume: &str, session: (u32, u32), count: usize) -> String {
    format!(
        "Volume=\"{volume}\"\nMediaType=\"File\"\nVolSessionId={}\nVolSessionTime={}\nFileIndex=1-{count}\nCount={count}\n",
        session.0, session.1
    )
}

/// All records of a Volume by session.
pub(crate) fn sessions_on(
    site: &Site,
    volume: &str,
) -> std::collections::BTreeMap<u32, Vec<(i32, i32, Vec<u8>)>> {
    let mut reader = VolumeReader::new(std::fs::read(site.volume(volume)).unwrap(), volume::Verify::Checksum);
    let mut assembler = Assembler::new();
    let mut out: std::collections::BTreeMap<u32, Vec<_>> = Default::default();
    loop {
        match reader.next_block().unwrap() {
            VolumeBlock::End => return out,
            VolumeBlock::Damage(damage) => panic!("{damage:?}"),
            VolumeBlock::Block { block, .. } => {
                for piece in block.pieces() {
                    let (broken, whole) = assembler.push(&piece);
                    assert!(broken.is_none());
                    let Some(record) = whole else { continue };
                    assert_eq!(record.integrity, Integrity::Whole);
                    let record_of = (record.index.0, record.stream, record.data.into_owned());
                    out.entry(record.session.id).or_default().push(record_of);
                }
            }
        }
    }
}

fn data_of(records: &[(i32, i32, Vec<u8>)], index: usize) -> Vec<u8> {
    let of = |r: &&(i32, i32, Vec<u8>)| r.0 == index as i32 && r.1 == crate::site::client::DATA;
    records.iter().filter(of).flat_map(|r| r.2.clone()).collect()
}

pub(crate) fn assert_all(records: &[(i32, i32, Vec<u8>)], files: &[TestFile]) {
    for (n, file) in files.iter().enumerate() {
        assert_eq!(data_of(records, n + 1), file.data, "{}", file.name);
    }
}

fn check_backup_and_restore(connect: impl Fn(u16, &Catalog) -> Director) {
    let dir = tempfile::tempdir().unwrap();
    let site = Site::start(dir.path(), "");
    let catalog = Catalog::default();
    let files = files(120, 90_000, 1);
    let (heard, session) = back_up(&site, &mut connect(site.port, &catalog), 1, &files);
    assert_eq!(heard.end_field("JobStatus"), 84, "{:?}", heard.end);
    assert_eq!(heard.end_field("JobFiles"), 120);
    let names: Vec<String> = files.iter().map(|f| f.name.clone()).collect();
    assert_eq!(heard.names(), names);
    assert!(heard.messages().contains("Labeled new Volume \"V-0001\" on File device \"Dev\""));
    let row = catalog.row("V-0001");
    let size = std::fs::metadata(site.volume("V-0001")).unwrap().len();
    assert_eq!(row.bytes, size);
    assert_eq!((row.jobs, row.mounts, row.writes), (1, 1, row.blocks + 1));
    let media = heard.job_media();
    assert_eq!(media.len(), 1);
    assert!(media[0].starts_with("1 120 0 0 ") && media[0].contains(&format!(" {} ", size - 1)), "{media:?}");

    let on_volume = sessions_on(&site, "V-0001");
    assert_all(&on_volume[&session.0], &files);

    let (records, heard) = restore(&site, &mut connect(site.port, &catalog), 2, &bsr("V-0001", session, 120));
    assert_eq!(heard.end_field("JobStatus"), 84);
    assert_all(&records, &files);
    assert_eq!(
        records.len(),
        120 * 3 - files.iter().filter(|f| f.data.is_empty()).count() + extra_records(&files)
    );
}

/// Data records beyond the first of each file.
fn extra_records(files: &[TestFile]) -> usize {
    files.iter().map(|f| f.data.len().div_ceil(65_536).saturating_sub(1)).sum()
}

#[test]
fn a_backup_restores_with_a_stock_director() {
    check_backup_and_restore(Director::stock);
}

#[test]
fn a_backup_restores_with_our_director() {
    check_backup_and_restore(|port, catalog| Director::ours(port, catalog, 1));
}

#[test]
fn jobs_interleave_on_one_volume_and_each_is_whole() {
    let dir = tempfile::tempdir().unwrap();
    let site = Site::start(dir.path(), "Maximum Block Size = 4096");
    let catalog = Catalog::default();
    let sets: Vec<Vec<TestFile>> = (1..=3).map(|seed| files(60, 60_000, seed)).collect();
    let results: Vec<(Heard, (u32, u32))> = std::thread::scope(|scope| {
        let run = |n: usize| {
            let (site, catalog, set) = (&site, &catalog, &sets[n]);
            move || back_up(site, &mut Director::ours(site.port, catalog, 1), n as u32 + 1, set)
        };
        let handles: Vec<_> = (0..3).map(|n| scope.spawn(run(n))).collect();
        handles.into_iter().map(|h| h.join().unwrap()).collect()
    });
    for name in catalog.names() {
        assert_eq!(catalog.row(&name).bytes, std::fs::metadata(site.volume(&name)).unwrap().len());
    }
    let mut director = Director::ours(site.port, &catalog, 1);
    for (n, (heard, session)) in results.iter().enumerate() {
        assert_eq!(heard.end_field("JobStatus"), 84);
        let volume = heard.job_media()[0].split(' ').nth(6).unwrap().to_owned();
        let (records, heard) = restore(&site, &mut director, 10 + n as u32, &bsr(&volume, *session, 60));
        assert_eq!(heard.end_field("JobStatus"), 84);
        assert_all(&records, &sets[n]);
        director = Director::ours(site.port, &catalog, 1);
    }
}

#[test]
fn a_job_spans_volumes_and_restores_across_them() {
    let dir = tempfile::tempdir().unwrap();
    let site = Site::start(dir.path(), "");
    let catalog = Catalog::with_limit(700_000);
    let files = files(40, 150_000, 5);
    let (heard, session) = back_up(&site, &mut Director::ours(site.port, &catalog, 1), 1, &files);
    assert_eq!(heard.end_field("JobStatus"), 84);
    let names = catalog.names();
    assert!(names.len() >= 3, "{names:?}");
    for name in &names {
        let row = catalog.row(name);
        assert!(row.bytes < 700_000);
        assert_eq!(row.status, if name == names.last().unwrap() { "Append" } else { "Full" });
    }
    let rows = heard.job_media();
    assert_eq!(rows.len(), names.len());
    let mut text = String::new();
    for row in &rows {
        let w: Vec<&str> = row.split(' ').collect();
        let count = w[1].parse::<i32>().unwrap() - w[0].parse::<i32>().unwrap() + 1;
        text.push_str(&format!(
            "Volume=\"{}\"\nVolSessionId={}\nVolSessionTime={}\nVolAddr={}-{}\nFileIndex={}-{}\nCount={count}\n",
            w[6], session.0, session.1, w[4], w[5], w[0], w[1]
        ));
    }
    let (records, heard) = restore(&site, &mut Director::ours(site.port, &catalog, 1), 2, &text);
    assert_eq!(heard.end_field("JobStatus"), 84, "{}", heard.messages());
    assert_all(&records, &files);
}

#[test]
fn a_second_job_appends_where_the_first_ended() {
    let dir = tempfile::tempdir().unwrap();
    let site = Site::start(dir.path(), "");
    let catalog = Catalog::default();
    let sets = [files(10, 10_000, 1), files(10, 10_000, 2)];
    let (_, first) = back_up(&site, &mut Director::stock(site.port, &catalog), 1, &sets[0]);
    let size = std::fs::metadata(site.volume("V-0001")).unwrap().len();
    let (heard, second) = back_up(&site, &mut Director::stock(site.port, &catalog), 2, &sets[1]);
    assert!(heard.messages().contains("previously written, moving to end of data"));
    assert!(heard.job_media()[0].contains(&format!(" {size} ")));
    let on_volume = sessions_on(&site, "V-0001");
    assert_all(&on_volume[&first.0], &sets[0]);
    assert_all(&on_volume[&second.0], &sets[1]);
    assert_eq!(catalog.row("V-0001").jobs, 2);
}

#[test]
fn a_volume_that_is_shorter_than_known_goes_in_error_and_the_job_takes_another() {
    let dir = tempfile::tempdir().unwrap();
    let site = Site::start(dir.path(), "");
    let catalog = Catalog::default();
    let set = files(10, 10_000, 1);
    back_up(&site, &mut Director::stock(site.port, &catalog), 1, &set);
    let path = site.volume("V-0001");
    let size = std::fs::metadata(&path).unwrap().len();
    std::fs::File::options().write(true).open(&path).unwrap().set_len(size - 100).unwrap();
    let (heard, _) = back_up(&site, &mut Director::stock(site.port, &catalog), 2, &set);
    assert_eq!(heard.end_field("JobStatus"), 84);
    assert_eq!(catalog.row("V-0001").status, "Error");
    assert!(heard.messages().contains("Marking Volume \"V-0001\" in Error in Catalog"));
    assert!(site.volume("V-0002").exists());
    assert_eq!(std::fs::metadata(&path).unwrap().len(), size - 100);
}

#[test]
fn status_names_the_job_and_its_volume_while_it_runs() {
    let dir = tempfile::tempdir().unwrap();
    let site = Site::start(dir.path(), "");
    let catalog = Catalog::default();
    let set = files(3, 1000, 1);
    let mut director = Director::stock(site.port, &catalog);
    let mut heard = Heard::default();
    let (_, _, key) = director.start_job(1, "J.1", 'B');
    director.use_device(&mut heard, true);
    director.send("run");
    let mut client = Client::connect(site.port, "J.1", &key);
    let mut console = Director::stock(site.port, &catalog);
    std::thread::scope(|scope| {
        let listening = scope.spawn(|| director.until_end(&mut heard));
        assert_eq!(client.open_append(), "3000 OK data\n");
        console.send("status");
        let status = console.lines();
        assert!(status.contains("Writing: Full Backup job J JobId=1 Volume=\"V-0001\""), "{status}");
        assert!(status.contains("Device File is \"Dev\""), "{status}");
        console.send("cancel Job=J.1\n");
        assert_eq!(console.lines(), "3000 JobId=1 Job=\"J.1\" marked to be canceled.\n");
        listening.join().unwrap();
    });
    assert_eq!(heard.end_field("JobStatus"), u64::from(b'A'));
    drop(client);
    // The drive is free again.
    let (heard, _) = back_up(&site, &mut Director::stock(site.port, &catalog), 2, &set);
    assert_eq!(heard.end_field("JobStatus"), 84);
    eventually("the ended job is listed", || {
        console.send("status");
        console.lines().contains("J\n")
    });
}
