//! Every line of the recorded sessions parses as the message that it is, and formats to the same bytes.

#![allow(clippy::unwrap_used, reason = "a test: a broken fixture may panic anywhere")]

use wire::cram::Challenge;
use wire::hello::{Greeting, HelloLine, Listener};
use wire::msg::common::{CancelKind, Jmsg};
use wire::msg::fd_sd::{self, FdCaps, RecordHeader, SdCaps, StreamHeader};
use wire::msg::sd_dir::{FromStorage, JobMediaRow};
use wire::msg::{dir_fd, dir_sd};
use wire::version::Generation;

/// One recorded packet.
struct Recorded {
    conn: String,
    from_opener: bool,
    payload: Vec<u8>,
}

/// `conn dir [header] len=N 'payload'`; other lines (signals, TLS, remarks) carry no message.
fn packets(transcript: &str) -> Vec<Recorded> {
    let packet = |line: &str| {
        let (head, quoted) = line.split_once(" len=")?;
        let mut words = head.split(' ');
        let conn = words.next()?.to_owned();
        let from_opener = words.next()? == ">";
        let start = quoted.find(['\'', '"'])?;
        if quoted.ends_with("...(cut)") || quoted.contains("...(cut)") {
            return None;
        }
        Some(Recorded { conn, from_opener, payload: unescape(&quoted[start..]) })
    };
    transcript.lines().filter(|line| !line.starts_with('#')).filter_map(packet).collect()
}

/// The bytes of a Python literal.
fn unescape(quoted: &str) -> Vec<u8> {
    let quote = quoted.chars().next().unwrap();
    let mut chars = quoted[1..].chars();
    let mut out = Vec::new();
    while let Some(c) = chars.next() {
        match c {
            '\\' => match chars.next().unwrap() {
                'n' => out.push(b'\n'),
                't' => out.push(b'\t'),
                'r' => out.push(b'\r'),
                'x' => {
                    let digits: String = chars.by_ref().take(2).collect();
                    out.push(u8::from_str_radix(&digits, 16).unwrap());
                }
                other => out.extend(other.to_string().bytes()),
            },
            c if c == quote => break,
            c => out.extend(c.to_string().bytes()),
        }
    }
    out
}

/// Handshake lines, the same on every pair.
fn handshake(payload: &[u8]) -> Option<Vec<u8>> {
    if let Some(challenge) = Challenge::parse(payload) {
        return Some(challenge.format());
    }
    for at in [Listener::Storage, Listener::Client, Listener::Director] {
        if payload.starts_with(b"Hello ")
            && let Ok(line) = HelloLine::parse(payload, at)
            && line.format() == payload
        {
            return Some(payload.to_vec());
        }
    }
    if let Some(greeting) = Greeting::parse(payload) {
        return Some(greeting.format());
    }
    if let Ok(caps) = SdCaps::parse(payload) {
        return Some(caps.format());
    }
    FdCaps::parse(payload).ok().map(|caps| caps.format())
}

/// What was left out of typed messages on purpose, or belongs to another crate.
fn is_plain(payload: &[u8]) -> bool {
    let text = String::from_utf8_lossy(payload);
    // Verdicts, base64 answers, clock, answers that are only compared, FileSet and bootstrap lines, records.
    payload == b"1000 OK auth\n"
        || (payload.len() == 23 && payload.ends_with(b"\0"))
        || text.starts_with("btime ")
        || text.starts_with("2000 OK ")
        || text.starts_with("2001 ")
        || text.starts_with("1000 OK ")
        || matches!(text.as_ref(), "OK\n" | "3000 OK bootstrap\n" | "3000 OK client command\n")
        || text.starts_with("3000 JobId=")
        || text.starts_with("2901 ")
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Pair {
    Client,
    Storage,
    Data,
    Console,
}

/// The fixtures' names of connections.
fn pair(conn: &str) -> Pair {
    match conn {
        "DS" | "DR" | "DW" | "CS" => Pair::Storage,
        "FS" | "SS" | "SF" => Pair::Data,
        _ if conn.starts_with("CON") => Pair::Console,
        _ => Pair::Client,
    }
}

struct Counts {
    typed: usize,
    unknown: Vec<String>,
}

fn note(counts: &mut Counts, recorded: &Recorded, formatted: Option<Vec<u8>>) {
    match formatted {
        Some(bytes) if bytes == recorded.payload => counts.typed += 1,
        Some(bytes) => counts.unknown.push(format!(
            "{}: {:?} became {:?}",
            recorded.conn,
            String::from_utf8_lossy(&recorded.payload),
            String::from_utf8_lossy(&bytes)
        )),
        None if is_plain(&recorded.payload) => {}
        None => counts.unknown.push(format!(
            "{}: {:?}",
            recorded.conn,
            String::from_utf8_lossy(&recorded.payload)
        )),
    }
}

fn replay(name: &str, transcript: &str) -> usize {
    let generation = if name.contains("15.0.3") { Generation::New } else { Generation::Old };
    let mut counts = Counts { typed: 0, unknown: Vec::new() };
    let mut list_after: std::collections::HashMap<String, bool> = std::collections::HashMap::new();
    for recorded in &packets(transcript) {
        let payload = &recorded.payload;
        let reversed = recorded.conn.starts_with("FD") && name.contains("fd-calls");
        let from_director = recorded.from_opener != reversed;
        let in_list = list_after.entry(recorded.conn.clone()).or_default();
        let formatted = handshake(payload).or_else(|| match (pair(&recorded.conn), from_director) {
            (Pair::Client, true) => fd_command(payload),
            (Pair::Client, false) => from_client(payload, generation),
            (Pair::Storage, true) => dir_sd::Command::parse(payload).ok().map(|command| command.format()),
            (Pair::Storage, false) => from_storage(payload, generation),
            (Pair::Data, _) => data_session(payload),
            (Pair::Console, _) => None,
        });
        let is_list_head = matches!(payload.as_slice(), b"bootstrap\n")
            || payload.starts_with(b"fileset")
            || payload.starts_with(b"accurate");
        if is_list_head {
            *in_list = true;
        }
        let is_list_line = *in_list && formatted.is_none();
        let is_data = pair(&recorded.conn) == Pair::Data;
        let is_console = pair(&recorded.conn) == Pair::Console;
        let is_text = payload.ends_with(b"\0") || (!from_director && is_listing(payload));
        if formatted.is_none() && (is_list_line || is_data || is_console || is_text) {
            continue;
        }
        note(&mut counts, recorded, formatted);
    }
    assert!(counts.unknown.is_empty(), "{name}: {:#?}", counts.unknown);
    counts.typed
}

/// Listings for people: status, estimate, verify records.
fn is_listing(payload: &[u8]) -> bool {
    !payload.starts_with(b"Jmsg") && !payload.starts_with(b"CatReq") && !payload.starts_with(b"3")
}

fn fd_command(payload: &[u8]) -> Option<Vec<u8>> {
    dir_fd::Command::parse(payload).ok().map(|command| command.format())
}

fn from_client(payload: &[u8], generation: Generation) -> Option<Vec<u8>> {
    match dir_fd::FromClient::parse(payload, generation) {
        dir_fd::FromClient::EndJob(end) => Some(end.format()),
        dir_fd::FromClient::Jmsg(jmsg) => Some(jmsg.format(generation)),
        dir_fd::FromClient::Progress(progress) => Some(progress.format()),
        dir_fd::FromClient::Reply(_) => dir_fd::JobReply::parse(payload).ok().map(|reply| reply.format()),
        dir_fd::FromClient::Record(_)
        | dir_fd::FromClient::Snapshot(_)
        | dir_fd::FromClient::Events(_)
        | dir_fd::FromClient::Text(_) => None,
    }
}

fn from_storage(payload: &[u8], generation: Generation) -> Option<Vec<u8>> {
    if let Ok(row) = JobMediaRow::parse(payload) {
        return Some(row.format());
    }
    match FromStorage::parse(payload, generation) {
        FromStorage::Start(start) => Some(start.format()),
        FromStorage::End(end) => Some(end.format()),
        FromStorage::Jmsg(jmsg) => Some(jmsg.format(generation)),
        FromStorage::Catalog { job_id, request } => Some(request.format(job_id)),
        FromStorage::UpdCat(update) => Some(update.format()),
        FromStorage::BlastAttr(blast) => Some(blast.format()),
        FromStorage::Status(status) => Some(status.format()),
        FromStorage::Progress(progress) => Some(progress.format()),
        FromStorage::Reply(_) => dir_sd::JobReply::parse(payload)
            .map(|reply| reply.format())
            .or_else(|_| dir_sd::UseDeviceReply::parse(payload).map(|reply| reply.format()))
            .ok(),
        FromStorage::Checkpoint(_)
        | FromStorage::Record(_)
        | FromStorage::Events(_)
        | FromStorage::Unknown(_) => None,
    }
}

fn data_session(payload: &[u8]) -> Option<Vec<u8>> {
    if let Ok(command) = fd_sd::Command::parse(payload) {
        return Some(command.format());
    }
    if let Ok(header) = RecordHeader::parse(payload) {
        return Some(header.format());
    }
    if payload.len() < 40
        && let Ok(header) = StreamHeader::parse(payload)
        && header.format() == *payload
    {
        return Some(header.format());
    }
    match fd_sd::Answer::parse(payload) {
        fd_sd::Answer::Error(_) => None,
        answer => Some(answer.format()),
    }
}

macro_rules! sessions {
    ($($test:ident: $file:literal, $typed:literal;)*) => {$(
        #[test]
        fn $test() {
            let typed = replay($file, include_str!(concat!("../fixtures/", $file)));
            assert_eq!(typed, $typed, "number of typed messages in {}", $file);
        }
    )*};
}

sessions! {
    backup_full_9_6: "backup-full-9.6.7.txt", 68;
    backup_accurate_9_6: "backup-incremental-accurate-9.6.7.txt", 51;
    restore_9_6: "restore-9.6.7.txt", 54;
    verify_9_6: "verify-9.6.7.txt", 19;
    estimate_9_6: "estimate-status-misc-9.6.7.txt", 30;
    sd_calls_client_9_6: "sd-calls-client-9.6.7.txt", 63;
    copy_9_6: "copy-sd-to-sd-9.6.7.txt", 65;
    cancel_9_6: "heartbeat-cancel-9.6.7.txt", 25;
    backup_full_15: "backup-full-15.0.3-clear.txt", 74;
    restore_15: "restore-15.0.3-clear.txt", 52;
    sd_calls_client_15: "sd-calls-client-15.0.3-clear.txt", 52;
    copy_15: "copy-sd-to-sd-15.0.3-clear.txt", 55;
    fd_calls_director_15: "fd-calls-director-15.0.3-clear.txt", 24;
}

#[test]
fn the_words_of_cancel_are_those_of_the_recording() {
    let transcript = include_str!("../fixtures/heartbeat-cancel-9.6.7.txt");
    let cancel =
        packets(transcript).into_iter().find(|packet| packet.payload.starts_with(b"cancel Job=")).unwrap();
    let dir_fd::Command::Cancel { kind, job } = dir_fd::Command::parse(&cancel.payload).unwrap() else {
        panic!()
    };
    assert_eq!(kind, CancelKind::Cancel);
    let answer = format!("2001 Job \"{job}\" marked to be {}.\n", kind.marked());
    assert!(packets(transcript).iter().any(|packet| packet.payload == answer.as_bytes()));
}

#[test]
fn info_messages_are_info_in_both_generations() {
    for (file, generation) in [
        (include_str!("../fixtures/backup-full-9.6.7.txt"), Generation::Old),
        (include_str!("../fixtures/backup-full-15.0.3-clear.txt"), Generation::New),
    ] {
        let infos =
            packets(file).into_iter().filter_map(|packet| Jmsg::parse(&packet.payload, generation).ok());
        let kinds: Vec<_> = infos.map(|jmsg| jmsg.kind).collect();
        assert!(!kinds.is_empty());
        assert!(kinds.iter().all(|kind| *kind == wire::msg::common::MessageType::Info));
    }
}
