//! Damaged Volumes: a restore names what is affected, gives the rest, and never gives a damaged record as good.

use std::collections::BTreeSet;

use crate::site::Site;
use crate::site::client::{ATTRIBUTES, Client, DATA, DIGEST, TestFile, attributes, digest, files};
use crate::site::director::{Catalog, Director, Heard};

const FILES: usize = 60;

struct Stored {
    site: Site,
    catalog: Catalog,
    files: Vec<TestFile>,
    session: (u32, u32),
    whole: Vec<u8>,
    _dir: tempfile::TempDir,
}

/// A site with one job on one Volume.
fn stored() -> Stored {
    let dir = tempfile::tempdir().unwrap();
    let site = Site::start(dir.path(), "Maximum Block Size = 8192");
    let catalog = Catalog::default();
    let files = files(FILES, 20_000, 9);
    let mut director = Director::stock(site.port, &catalog);
    let mut heard = Heard::default();
    let (id, time, key) = director.start_job(1, "J.1", 'B');
    director.use_device(&mut heard, true);
    director.send("run");
    let client = Client::connect(site.port, "J.1", &key);
    std::thread::scope(|scope| {
        scope.spawn(|| client.back_up(&files));
        director.until_end(&mut heard);
    });
    let whole = std::fs::read(site.volume("V-0001")).unwrap();
    Stored { site, catalog, files, session: (id, time), whole, _dir: dir }
}

impl Stored {
    fn put(&self, bytes: &[u8]) {
        std::fs::write(self.site.volume("V-0001"), bytes).unwrap();
    }

    fn restore(&self, id: u32) -> (Vec<(i32, i32, Vec<u8>)>, Heard) {
        let mut director = Director::stock(self.site.port, &self.catalog);
        let mut heard = Heard::default();
        let name = format!("R.{id}");
        let (_, _, key) = director.start_job(id, &name, 'R');
        director.bootstrap(&format!(
            "Volume=\"V-0001\"\nVolSessionId={}\nVolSessionTime={}\nVolAddr=200-{}\nFileIndex=1-{FILES}\nCount={FILES}\n",
            self.session.0,
            self.session.1,
            self.whole.len() - 1
        ));
        assert_eq!(director.line(), "3000 OK bootstrap\n");
        director.use_device(&mut heard, false);
        director.send("run");
        let client = Client::connect(self.site.port, &name, &key);
        let records = std::thread::scope(|scope| {
            let restoring = scope.spawn(|| client.restore());
            director.until_end(&mut heard);
            restoring.join().unwrap()
        });
        (records, heard)
    }

    /// Checks that each record is one that was stored, and that each file which is not whole is named. Gives the whole files.
    fn check(&self, records: &[(i32, i32, Vec<u8>)], heard: &Heard, what: &str) -> BTreeSet<usize> {
        let mut whole = BTreeSet::new();
        for (n, file) in self.files.iter().enumerate() {
            let index = n + 1;
            let of = |stream: i32| -> Vec<u8> {
                let is = |r: &&(i32, i32, Vec<u8>)| r.0 == index as i32 && r.1 == stream;
                records.iter().filter(is).flat_map(|r| r.2.clone()).collect()
            };
            let (got_attributes, got_data, got_digest) = (of(ATTRIBUTES), of(DATA), of(DIGEST));
            assert!(
                got_attributes.is_empty() || got_attributes == attributes(index, file),
                "{what}: {}",
                file.name
            );
            assert!(got_digest.is_empty() || got_digest == digest(&file.data), "{what}: {}", file.name);
            assert!(
                file.data.starts_with(&got_data) || !got_digest.is_empty() || got_data.is_empty(),
                "{what}"
            );
            if !got_attributes.is_empty() && got_data == file.data && !got_digest.is_empty() {
                whole.insert(index);
                continue;
            }
            // By its digest the client sees that what it got is not the file.
            if !got_digest.is_empty() {
                assert_ne!(digest(&got_data), got_digest, "{what}: {}", file.name);
            }
            assert!(
                is_named(heard, index),
                "{what}: file {index} is missing and not named:\n{}",
                heard.messages()
            );
        }
        let status = heard.end_field("JobStatus");
        assert_eq!(status == 84, whole.len() == FILES, "{what}: status {status}, {} whole", whole.len());
        whole
    }
}

/// Whether a message names the file by its FileIndex, alone or in a range.
fn is_named(heard: &Heard, index: usize) -> bool {
    heard.messages().split("FileIndex ").skip(1).any(|rest| {
        let range: String = rest.chars().take_while(|c| c.is_ascii_digit() || *c == '-').collect();
        let (low, high) = range.split_once('-').unwrap_or((&range, &range));
        let (Ok(low), Ok(high)) = (low.parse::<usize>(), high.parse::<usize>()) else { return false };
        (low..=high).contains(&index)
    })
}

#[test]
fn a_bit_flipped_anywhere_costs_few_files_and_each_is_named() {
    let stored = stored();
    let mut at = 12_345usize;
    for n in 0..200 {
        at = (at.wrapping_mul(1_103_515_245).wrapping_add(12_345)) % stored.whole.len();
        let mut bytes = stored.whole.clone();
        bytes[at] ^= 1 << (n % 8);
        stored.put(&bytes);
        let (records, heard) = stored.restore(100 + n);
        let whole = stored.check(&records, &heard, &format!("byte {at}"));
        assert!(whole.len() >= FILES - 8, "byte {at}: only {} of {FILES} files", whole.len());
    }
}

#[test]
fn a_volume_cut_short_gives_what_is_left() {
    let stored = stored();
    for (n, cut) in [1, 100, 8191, 8192, 50_000, stored.whole.len() / 2].into_iter().enumerate() {
        stored.put(&stored.whole[..stored.whole.len() - cut]);
        let (records, heard) = stored.restore(100 + n as u32);
        let whole = stored.check(&records, &heard, &format!("{cut} bytes cut off"));
        let least = FILES * (stored.whole.len() - cut) / stored.whole.len();
        assert!(whole.len() + 12 >= least, "{cut} bytes cut off: {} files", whole.len());
    }
}

#[test]
fn a_missing_volume_is_named_with_its_files() {
    let stored = stored();
    std::fs::remove_file(stored.site.volume("V-0001")).unwrap();
    let (records, heard) = stored.restore(100);
    assert!(records.is_empty());
    stored.check(&records, &heard, "missing");
    assert!(heard.messages().contains("Volume \"V-0001\" cannot be read"));
}

#[test]
fn a_wrong_volume_under_the_right_name_is_refused() {
    let stored = stored();
    let mut other = stored.whole.clone();
    let block = volume::BlockHeader::decode(&other).unwrap();
    let at = other.windows(6).position(|w| w == b"V-0001").unwrap();
    other[at + 5] = b'9';
    block.seal(&mut other[..block.len as usize], true);
    stored.put(&other);
    let (records, heard) = stored.restore(100);
    assert!(records.is_empty());
    stored.check(&records, &heard, "wrong Volume");
    assert!(heard.messages().contains("wanted \"V-0001\", have \"V-0009\""), "{}", heard.messages());
}

#[test]
fn a_lost_block_in_the_middle_is_seen_by_its_number() {
    let stored = stored();
    // Take one block out, as if it had never been written: all checksums are right.
    let mut addresses = vec![0usize];
    while let Some(header) =
        stored.whole.get(*addresses.last().unwrap()..).and_then(|b| volume::BlockHeader::decode(b).ok())
    {
        addresses.push(addresses.last().unwrap() + header.len as usize);
    }
    for block in [5, 20] {
        let bytes = [&stored.whole[..addresses[block]], &stored.whole[addresses[block + 1]..]].concat();
        stored.put(&bytes);
        let (records, heard) = stored.restore(100 + block as u32);
        let whole = stored.check(&records, &heard, &format!("block {block} taken out"));
        assert!(whole.len() >= FILES - 6);
    }
}

#[test]
fn an_encrypted_volume_is_refused_clearly() {
    let stored = stored();
    let fixture = concat!(env!("CARGO_MANIFEST_DIR"), "/../volume/fixtures/v15-encrypted.vol");
    std::fs::copy(fixture, stored.site.volume("PE-0007")).unwrap();
    let mut director = Director::stock(stored.site.port, &stored.catalog);
    let mut heard = Heard::default();
    let (_, _, key) = director.start_job(100, "R.100", 'R');
    director
        .bootstrap("Volume=\"PE-0007\"\nVolSessionId=7\nVolSessionTime=1795447147\nFileIndex=1-7\nCount=7\n");
    assert_eq!(director.line(), "3000 OK bootstrap\n");
    director.use_device(&mut heard, false);
    director.send("run");
    let client = Client::connect(stored.site.port, "R.100", &key);
    std::thread::scope(|scope| {
        let restoring = scope.spawn(|| client.restore());
        director.until_end(&mut heard);
        assert!(restoring.join().unwrap().is_empty());
    });
    assert!(heard.messages().contains("encrypted by Bacula's Volume Encryption"), "{}", heard.messages());
    assert_ne!(heard.end_field("JobStatus"), 84);
}
