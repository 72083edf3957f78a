//! Jobs of a real File Daemon between a Director and a Storage Daemon that follow a script.

#![allow(clippy::unwrap_used, reason = "helpers of tests fail like tests")]

mod support;

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::Path;

use support::{Client, Storage, backup, records, restore};
use wire::frame::{Packet, Signal};

/// A tree with every kind of entry that needs no root.
fn make_tree(root: &Path) {
    fs::create_dir_all(root.join("dir/empty")).unwrap();
    fs::write(root.join("dir/first"), "linked\n").unwrap();
    fs::hard_link(root.join("dir/first"), root.join("second")).unwrap();
    fs::write(root.join("none"), "").unwrap();
    fs::write(root.join("large"), (0..400_000u32).flat_map(u32::to_le_bytes).collect::<Vec<_>>()).unwrap();
    fs::write(root.join(std::ffi::OsStr::from_bytes(b"bad_\xff\nname")), "bytes").unwrap();
    symlink("dir/first", root.join("link")).unwrap();
    symlink("/no/where", root.join("dangling")).unwrap();
    let hole = fs::File::create(root.join("hole")).unwrap();
    hole.set_len(3 << 20).unwrap();
    std::os::unix::fs::FileExt::write_all_at(&hole, b"in the middle", 1_500_000).unwrap();
    let dir = sys::open_root(root.as_os_str().as_bytes()).unwrap();
    sys::make_fifo(&dir, b"fifo", 0o640).unwrap();
    let _socket = std::os::unix::net::UnixListener::bind(root.join("socket")).unwrap();
    for (name, mode) in [("dir", 0o750), ("large", 0o4711), ("second", 0o604)] {
        fs::set_permissions(root.join(name), fs::Permissions::from_mode(mode)).unwrap();
    }
    dir.set_times(b"large", (7, 0), (-12_345, 0)).unwrap();
    dir.set_times(b"link", (7, 0), (1_000_000, 0)).unwrap();
    dir.set_times(b"dir", (7, 0), (2_000_000, 0)).unwrap();
    // Not every file system of a build machine has attributes.
    let _ = sys::XattrTarget::At(&dir, b"second").set(b"user.note", b"value");
}

#[derive(Debug, PartialEq, Eq)]
struct Seen {
    mode: u32,
    mtime: i64,
    content: Vec<u8>,
    link: Option<std::path::PathBuf>,
    nlink: u64,
    blocks: u64,
    attribute: Vec<u8>,
}

/// Everything below a root but sockets.
fn scan(root: &Path) -> BTreeMap<Vec<u8>, Seen> {
    fn visit(root: &Path, path: &Path, out: &mut BTreeMap<Vec<u8>, Seen>) {
        for entry in fs::read_dir(path).unwrap() {
            let path = entry.unwrap().path();
            let meta = fs::symlink_metadata(&path).unwrap();
            let mut attribute = Vec::new();
            let dir = sys::open_root(path.parent().unwrap().as_os_str().as_bytes()).unwrap();
            let name = path.file_name().unwrap().as_bytes();
            let _ = sys::XattrTarget::At(&dir, name).get(b"user.note", &mut attribute);
            if meta.mode() & 0o170_000 == 0o140_000 {
                continue;
            }
            let is_hole = name == b"hole";
            out.insert(
                path.strip_prefix(root).unwrap().as_os_str().as_bytes().to_vec(),
                Seen {
                    mode: meta.mode(),
                    mtime: meta.mtime(),
                    content: if meta.is_file() { fs::read(&path).unwrap() } else { Vec::new() },
                    link: fs::read_link(&path).ok(),
                    nlink: if meta.is_dir() { 0 } else { meta.nlink() },
                    blocks: if is_hole { meta.blocks() } else { 0 },
                    attribute,
                },
            );
            if meta.is_dir() {
                visit(root, &path, out);
            }
        }
    }
    let mut out = BTreeMap::new();
    visit(root, root, &mut out);
    out
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_tree_with_every_kind_of_entry_comes_back_under_every_option() {
    let client = Client::start().await;
    let tree = tempfile::tempdir().unwrap();
    make_tree(tree.path());
    let saved = scan(tree.path());
    for (number, options) in ["MAXs", "MZ6sAX", "S2ZoAXs", "S7ZsAXs", "S3Z1AXs"].into_iter().enumerate() {
        let id = number as u32 * 2 + 1;
        let option = format!("O {options}");
        let (streams, end, messages) = backup(&client, id, "full", &[&option], tree.path()).await;
        assert!(end.contains("TermCode=84 ") && end.contains(" Errors=0 "), "{end} {messages:?}");
        let place = tempfile::tempdir().unwrap();
        let (end, messages) = restore(&client, id + 1, streams, place.path()).await;
        assert!(end.contains("TermCode=84 ") && end.contains(" Errors=0 "), "{end} {messages:?}");
        let back = scan(&place.path().join(tree.path().strip_prefix("/").unwrap()));
        assert_eq!(saved.keys().collect::<Vec<_>>(), back.keys().collect::<Vec<_>>(), "{options}");
        for (name, seen) in &saved {
            assert!(*seen == back[name], "{options}: {}", String::from_utf8_lossy(name));
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_data_of_an_excluded_first_link_is_saved_with_the_next() {
    let client = Client::start().await;
    let tree = tempfile::tempdir().unwrap();
    fs::write(tree.path().join("a-excluded"), "data").unwrap();
    for name in ["b", "c"] {
        fs::hard_link(tree.path().join("a-excluded"), tree.path().join(name)).unwrap();
    }
    let options = ["O e", "WF */a-excluded", "N", "O M"];
    let (streams, ..) = backup(&client, 1, "full", &options, tree.path()).await;
    let types: Vec<_> = records(&streams).into_iter().map(|(kind, _)| kind).collect();
    assert_eq!(types, [1, 3, 5]);
    assert_eq!(streams.iter().filter(|(_, stream, _)| stream.data_layout().is_some()).count(), 1);
    let place = tempfile::tempdir().unwrap();
    let (end, _) = restore(&client, 2, streams, place.path()).await;
    assert!(end.contains("TermCode=84 "), "{end}");
    let root = place.path().join(tree.path().strip_prefix("/").unwrap());
    assert_eq!(fs::read(root.join("c")).unwrap(), b"data");
    assert_eq!(fs::metadata(root.join("b")).unwrap().ino(), fs::metadata(root.join("c")).unwrap().ino());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_incremental_takes_what_is_newer_and_an_accurate_one_tells_what_is_gone() {
    let client = Client::start().await;
    let tree = tempfile::tempdir().unwrap();
    fs::write(tree.path().join("same"), "same").unwrap();
    fs::write(tree.path().join("gone"), "gone").unwrap();
    let (full, ..) = backup(&client, 1, "full", &["O M"], tree.path()).await;
    let (streams, ..) = backup(&client, 2, "incremental", &["O M"], tree.path()).await;
    assert_eq!(records(&streams), []);
    let entries: Vec<String> = full
        .iter()
        .filter(|(_, stream, _)| stream.is_attributes())
        .map(|(_, _, packets)| {
            let record = attrs::AttrRecord::decode(&packets[0]).unwrap();
            let mut line = Vec::new();
            let entry =
                attrs::AccurateEntry { name: record.name, lstat: record.lstat, digest: b"", delta_seq: 0 };
            entry.encode_into(&mut line);
            String::from_utf8(line).unwrap()
        })
        .collect();
    fs::remove_file(tree.path().join("gone")).unwrap();
    fs::write(tree.path().join("new"), "new").unwrap();
    // The whole test takes less than a second, the resolution of what the catalog knows.
    sys::open_root(tree.path().as_os_str().as_bytes()).unwrap().set_times(b".", (7, 0), (7, 0)).unwrap();
    let storage = Storage::taking();
    let mut director = client.director_as("t-dir", "fd", false).await;
    director.job(3).await;
    director.send("level = accurate_incremental  mtime_only=0 \n").await;
    director.send("level = since_utime 1 mtime_only=0 prev_job=x\n").await;
    assert_eq!(director.line().await, "signal -1");
    assert_eq!(director.line().await, "2000 OK level\n");
    director.fileset(&["O M"], tree.path()).await;
    director.storage(&storage, false).await;
    director.list("accurate files=3\n", &entries, "").await;
    director.ask("backup FileIndex=0\n", "2000 OK backup").await;
    let end = director.end().await;
    assert!(end.contains("JobFiles=3 "), "{end}");
    let names: Vec<_> =
        records(&storage.finish()).into_iter().map(|(kind, name)| (kind, name.len())).collect();
    let root = tree.path().file_name().unwrap().len();
    assert_eq!(names, [(3, 3), (5, root), (23, 4)]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_cannot_be_read_is_counted_and_the_rest_is_saved() {
    let client = Client::start().await;
    let tree = tempfile::tempdir().unwrap();
    fs::write(tree.path().join("there"), "x").unwrap();
    let missing = tree.path().join("missing");
    let storage = Storage::taking();
    let mut director = client.director().await;
    director.job(1).await;
    director.ask("level = full  mtime_only=0 \n", "2000 OK level").await;
    let lines =
        ["I", "O M", "N", &format!("F {}", missing.display()), &format!("F {}", tree.path().display()), "N"];
    director.list("fileset\n", &lines.map(|line| format!("{line}\n")), "2000 OK include\n").await;
    director.storage(&storage, false).await;
    director.ask("backup FileIndex=0\n", "2000 OK backup").await;
    let end = director.end().await;
    assert!(end.contains("TermCode=84 JobFiles=2 ") && end.contains(" Errors=1 "), "{end}");
    let told = format!("     Could not stat \"{}\": ERR=No such file or directory\n", missing.display());
    assert!(director.messages.iter().any(|message| message.ends_with(&told)), "{:?}", director.messages);
    assert_eq!(records(&storage.finish()).len(), 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cancelled_job_ends_as_cancelled_and_a_stopped_one_as_incomplete() {
    let client = Client::start().await;
    let tree = tempfile::tempdir().unwrap();
    for i in 0..2000 {
        fs::write(tree.path().join(format!("f{i}")), vec![7; 20_000]).unwrap();
    }
    for (id, command, code) in [(1, "cancel", "TermCode=65 "), (2, "stop", "TermCode=73 ")] {
        let storage = Storage::taking();
        let mut director = client.director().await;
        director.job(id).await;
        director.ask("level = full  mtime_only=0 \n", "2000 OK level").await;
        director.fileset(&["O M"], tree.path()).await;
        director
            .ask(&format!("setbandwidth=2000000 Job=test.2026-11-23_15.04.16_{id:02}\n"), "2000 OK Bandwidth")
            .await;
        director.storage(&storage, false).await;
        director.ask("backup FileIndex=0\n", "2000 OK backup").await;
        let mut other = client.director().await;
        let answer =
            other.ask(&format!("{command} Job=test.2026-11-23_15.04.16_{id:02}\n"), "2001 Job ").await;
        assert!(answer.contains("marked to be "), "{answer}");
        let end = director.end().await;
        assert!(end.contains(code), "{command}: {end}");
        assert!(storage.finish().len() < 6000);
    }
    let mut other = client.director().await;
    other.ask("cancel Job=nobody.knows\n", "2901 Job nobody.knows not found.").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_job_outlives_its_director_and_tells_the_next_one_everything() {
    let client = Client::start().await;
    let tree = tempfile::tempdir().unwrap();
    for i in 0..300 {
        fs::write(tree.path().join(format!("f{i}")), vec![7; 10_000]).unwrap();
    }
    let register = |epoch: u64| {
        format!("director epoch={epoch} activation={:032x} catalog={:032x} instance=a\n", epoch, 5)
    };
    let storage = Storage::taking();
    let mut first = client.director().await;
    first.ask(&register(3), "2000 OK director epoch=3").await;
    let job = format!(
        "JobId=1 Job=test.2026-11-23_15.04.16_01 SDid=7 SDtime=77 Authorization={} attempt=2\n",
        support::KEY
    );
    first.ask(&job, "2000 OK Job ").await;
    first.ask("level = full  mtime_only=0 \n", "2000 OK level").await;
    first.fileset(&["O M"], tree.path()).await;
    first.ask("setbandwidth=1000000 Job=test.2026-11-23_15.04.16_01\n", "2000 OK Bandwidth").await;
    first.send(&format!("storage address=127.0.0.1 port={} ssl=0\n", storage.port)).await;
    let record = first.line().await;
    assert!(record.starts_with("Jrn 1 Jmsg JobId=1 ") && record.contains("Connected to Storage"), "{record}");
    assert_eq!(first.line().await, "2000 OK storage\n");
    first.ask("backup FileIndex=0\n", "2000 OK backup").await;
    drop(first);

    let mut second = client.director().await;
    second.ask(&register(4), "2000 OK director epoch=4").await;
    let entry = second.ask("jobs\n", "job JobId=1 ").await;
    assert!(entry.contains("attempt=2 ") && entry.contains("last="), "{entry}");
    assert_eq!(second.recv().await, Packet::Signal(Signal::Eod));
    let attach = "attach JobId=1 Job=test.2026-11-23_15.04.16_01 attempt=2 from=1\n";
    second.ask(attach, "2000 OK attach JobId=1 ").await;
    let mut last = 0;
    let end = loop {
        let line = second.line().await;
        let rest = line.strip_prefix("Jrn ").unwrap_or_else(|| panic!("{line}"));
        let (seq, payload) = rest.split_once(' ').unwrap();
        last += 1;
        assert_eq!(seq, last.to_string());
        if payload.starts_with("2800 End Job ") {
            break payload.to_owned();
        }
    };
    assert!(end.contains("TermCode=84 JobFiles=301 "), "{end}");
    second.send(&format!("Ack {last}\n")).await;
    assert_eq!(second.recv().await, Packet::Signal(Signal::Terminate));
    assert_eq!(records(&storage.finish()).len(), 301);

    // An older epoch, and a Director without one, are refused from now on.
    let mut stale = client.director().await;
    stale.ask(&register(3), "2981 Stale Director: epoch 4 ").await;
    let mut stock = client.director_as("t-dir", "fd", false).await;
    stock.ask("status", "2982 Director \"t-dir\" has had epochs here").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn scripts_estimates_and_status_answer_as_bacula_does() {
    let mut client = Client::start().await;
    let tree = tempfile::tempdir().unwrap();
    fs::write(tree.path().join("four"), "four").unwrap();
    let mut director = client.director().await;
    director.send("JobId=0 Job=-Console-.2026-11-23_15.05.22_05 SDid=0 SDtime=0 Authorization=dummy\n").await;
    assert!(director.line().await.starts_with("2000 OK Job "));
    director.ask("level = full  mtime_only=0 \n", "2000 OK level").await;
    director.fileset(&["O M"], tree.path()).await;
    let listed = director.ask("estimate listing=1\n", "-rw-").await;
    assert!(listed.ends_with("/four\n"), "{listed}");
    assert!(director.line().await.starts_with("drwx"));
    assert_eq!(director.line().await, "2000 OK estimate files=2 bytes=4\n");
    assert_eq!(director.recv().await, Packet::Signal(Signal::Eod));

    let mut director = client.director_as("t-dir", "fd", false).await;
    director.job(4).await;
    let run = "Run OnSuccess=1 OnFailure=0 AbortOnError=1 When=2 Command=/bin/echo\u{1}job\u{1}%i\n";
    director.ask(run, "2000 OK RunScript").await;
    director.ask("RunBeforeNow\n", "2000 OK RunBeforeNow").await;
    assert!(director.messages.last().unwrap().ends_with("t-fd JobId 4: ClientBeforeJob: job 4\n"));
    let run = "Run OnSuccess=1 OnFailure=0 AbortOnError=1 When=2 Command=false\n";
    director.ask(run, "2000 OK RunScript").await;
    director.ask("RunBeforeNow\n", "2905 Bad RunBeforeNow command.").await;
    assert!(director.end().await.contains("TermCode=69 "));

    let mut monitor = client.director_as("mon", "mon", false).await;
    monitor.send("status").await;
    assert_eq!(monitor.line().await, "\n");
    assert!(monitor.line().await.starts_with("t-fd Version: "));
    while monitor.recv().await != Packet::Signal(Signal::Eod) {}
    monitor
        .ask("cancel Job=x\n", "2997 Invalid command for a Director with Monitor directive enabled.")
        .await;
    client.control.stop.cancel();
    (&mut client.task).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_daemon_told_to_stop_ends_its_jobs_as_incomplete() {
    let mut client = Client::start().await;
    let tree = tempfile::tempdir().unwrap();
    for i in 0..2000 {
        fs::write(tree.path().join(format!("f{i}")), vec![7; 20_000]).unwrap();
    }
    let mut waiting = client.director().await;
    waiting.job(1).await;
    waiting.ask("level = full  mtime_only=0 \n", "2000 OK level").await;
    let storage = Storage::taking();
    let mut running = client.director().await;
    running.job(2).await;
    running.ask("level = full  mtime_only=0 \n", "2000 OK level").await;
    running.fileset(&["O M"], tree.path()).await;
    running.ask("setbandwidth=3000000 Job=test.2026-11-23_15.04.16_02\n", "2000 OK Bandwidth").await;
    running.storage(&storage, false).await;
    running.ask("backup FileIndex=0\n", "2000 OK backup").await;
    client.control.stop.cancel();
    let end = waiting.end().await;
    assert!(end.contains("TermCode=73 JobFiles=0 "), "{end}");
    let end = running.end().await;
    assert!(end.contains("TermCode=73 "), "{end}");
    (&mut client.task).await.unwrap();
    // What was sent is whole: each file with data has its digest.
    let streams = storage.finish();
    let data = streams.iter().filter(|(_, stream, _)| stream.data_layout().is_some()).count();
    let digests = streams.iter().filter(|(_, stream, _)| *stream == attrs::Stream::MD5_DIGEST).count();
    assert!(data == digests && records(&streams).len() < 2001, "{data} {digests}");
}
