//! A Director's side: one connection, and a catalog of Volumes that answers requests.

use std::collections::BTreeMap;
use std::net::TcpStream;
use std::sync::{Arc, Mutex};
use std::time::Instant;

use net::blocking::{Closer, PacketReader, PacketWriter};
use net::{Session, Tls};
use wire::cram::Secret;
use wire::frame::{Packet, Signal};
use wire::hello::Hello;
use wire::scan::Fields;
use wire::version::DirVersion;

use super::{PASSWORD, PATIENCE};

/// A Volume in the catalog.
#[derive(Debug, Clone, Default)]
pub struct Row {
    pub id: u32,
    pub pool: String,
    pub jobs: u32,
    pub blocks: u64,
    pub bytes: u64,
    pub mounts: u32,
    pub writes: u64,
    pub bytes_max: u64,
    pub status: String,
    pub label_time: u64,
    pub volume_seq: u64,
    /// Slot in a changer; 0 for none.
    pub slot: u32,
    pub in_changer: bool,
    /// Added to its replies: a permit to overwrite.
    pub permit: String,
}

/// The catalog's Volumes; new ones are made as `V-0001`, `V-0002` …
#[derive(Debug, Clone, Default)]
pub struct Catalog(Arc<Mutex<Inner>>);

#[derive(Debug, Default)]
struct Inner {
    rows: BTreeMap<String, Row>,
    /// Limit of new Volumes.
    bytes_max: u64,
}

impl Catalog {
    pub fn with_limit(bytes_max: u64) -> Self {
        let catalog = Self::default();
        catalog.0.lock().unwrap().bytes_max = bytes_max;
        catalog
    }

    /// A Volume that was labelled in a slot of a changer.
    pub fn add_in_slot(&self, name: &str, pool: &str, slot: u32) {
        let mut inner = self.0.lock().unwrap();
        let row = Row {
            id: inner.rows.len() as u32 + 1,
            pool: pool.to_owned(),
            status: "Append".into(),
            bytes_max: inner.bytes_max,
            slot,
            in_changer: slot > 0,
            ..Row::default()
        };
        inner.rows.insert(name.to_owned(), row);
    }

    pub fn row(&self, name: &str) -> Row {
        self.0.lock().unwrap().rows[name].clone()
    }

    pub fn change(&self, name: &str, change: impl FnOnce(&mut Row)) {
        change(self.0.lock().unwrap().rows.get_mut(name).unwrap());
    }

    pub fn names(&self) -> Vec<String> {
        self.0.lock().unwrap().rows.keys().cloned().collect()
    }

    fn answer(&self, request: &str) -> String {
        let mut inner = self.0.lock().unwrap();
        let f = Fields::new(request.as_bytes());
        let text = |key: &str| f.raw(key).map(|v| String::from_utf8(v.to_vec()).unwrap()).unwrap_or_default();
        if request.contains(" FindMedia=") {
            let index = f.get::<u32>("FindMedia").unwrap() as usize;
            return inner.find(&text("pool_name"), index, text("create") == "1");
        }
        let name = text("VolName");
        let Some(row) = inner.rows.get_mut(&name) else {
            return format!("1997 Volume \"{name}\" not in catalog.\n");
        };
        if request.contains(" GetVolInfo ") {
            let usable = matches!(row.status.as_str(), "Append" | "Recycle" | "Purged");
            if text("write") == "1" && !usable {
                return format!("1998 Volume \"{name}\" catalog status is {}, not usable.\n", row.status);
            }
            return reply(&name, row);
        }
        let number = |key: &'static str| f.get::<u64>(key).unwrap_or(0);
        // A state that comes again is older than what is known.
        if number("HfVolSeq") != 0 && number("HfVolSeq") <= row.volume_seq {
            return reply(&name, row);
        }
        row.jobs = number("VolJobs") as u32;
        row.blocks = number("VolBlocks");
        row.bytes = number("VolBytes");
        row.mounts = number("VolMounts") as u32;
        row.writes = number("VolWrites");
        row.status = text("VolStatus");
        row.in_changer = text("InChanger") == "1";
        row.label_time = number("HfLabelTime");
        row.volume_seq = number("HfVolSeq");
        reply(&name, row)
    }
}

impl Inner {
    fn find(&mut self, pool: &str, index: usize, create: bool) -> String {
        let usable = |r: &Row| r.pool == pool && matches!(r.status.as_str(), "Append" | "Recycle");
        let found: Vec<_> = self.rows.iter().filter(|(_, r)| usable(r)).collect();
        if let Some((name, row)) = found.get(index - 1) {
            return reply(name, row);
        }
        if !create {
            return "1901 No Media.\n".to_owned();
        }
        let id = self.rows.len() as u32 + 1;
        let name = format!("V-{id:04}");
        let row = Row {
            id,
            pool: pool.to_owned(),
            status: "Append".into(),
            bytes_max: self.bytes_max,
            ..Row::default()
        };
        let text = reply(&name, &row);
        self.rows.insert(name, row);
        text
    }
}

fn reply(name: &str, r: &Row) -> String {
    format!(
        "1000 OK VolName={name} VolJobs={} VolFiles=0 VolBlocks={} VolBytes={} VolABytes=0 VolHoleBytes=0 VolHoles=0 VolMounts={} \
         VolErrors=0 VolWrites={} MaxVolBytes={} VolCapacityBytes=0 VolStatus={} Slot={} MaxVolJobs=0 MaxVolFiles=0 InChanger={} \
         VolReadTime=0 VolWriteTime=0 EndFile=0 EndBlock=0 VolType=1 LabelType=0 MediaId={} ScratchPoolId=0 VolParts=0 VolCloudParts=0 \
         LastPartBytes=0 Enabled=1 MaxPoolBytes=0 PoolBytes=0 Recycle=1 Protected=0 UseProtect=0 VolEncrypted=0 VolRetention=1{}\n",
        r.jobs,
        r.blocks,
        r.bytes,
        r.mounts,
        r.writes,
        r.bytes_max,
        r.status,
        r.slot,
        u32::from(r.in_changer),
        r.id,
        r.permit
    )
}

/// How a job ended, and what was heard of it.
#[derive(Debug, Default)]
pub struct Heard {
    /// Journal records by number; a stock Director numbers them itself.
    pub records: BTreeMap<u64, Vec<u8>>,
    pub statuses: Vec<u32>,
    pub end: Option<String>,
}

impl Heard {
    pub fn texts(&self) -> Vec<String> {
        self.records.values().map(|r| String::from_utf8_lossy(r).into_owned()).collect()
    }

    pub fn messages(&self) -> String {
        let is_message = |t: &String| t.starts_with("Jmsg ");
        self.texts().into_iter().filter(is_message).collect()
    }

    /// File names of the attribute records, in order.
    pub fn names(&self) -> Vec<String> {
        let of = |r: &Vec<u8>| {
            let text = String::from_utf8_lossy(r);
            let rest = text.strip_prefix("UpdCat ")?.split_once("/data/")?.1.to_owned();
            Some(format!("/data/{}", rest.split('\0').next()?))
        };
        self.records.values().filter_map(of).collect()
    }

    /// `JobStatus=`, `JobFiles=` … of the last line.
    pub fn end_field(&self, key: &'static str) -> u64 {
        Fields::new(self.end.as_ref().expect("the job has ended").as_bytes()).get(key).unwrap()
    }

    /// JobMedia rows.
    pub fn job_media(&self) -> Vec<String> {
        self.texts()
            .iter()
            .filter(|t| t.contains(" CreateJobMedia"))
            .flat_map(|t| t.lines().skip(1).map(str::to_owned).collect::<Vec<_>>())
            .collect()
    }
}

/// A Director's connection.
pub struct Director {
    pub reader: PacketReader,
    pub writer: PacketWriter,
    pub closer: Closer,
    pub catalog: Catalog,
    pub nonce: String,
    pub ack: bool,
    is_ours: bool,
}

impl Director {
    fn open(port: u16, catalog: &Catalog, is_ours: bool) -> Self {
        let stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
        let mut session = Session::new("dir", Secret::from_password(PASSWORD), Tls::clear());
        session.additions = is_ours;
        let hello = Hello::DirectorToStorage { name: "dir".into(), version: DirVersion::CURRENT };
        let conn = net::blocking::open(stream, hello, &session).unwrap();
        let (mut reader, writer, _, closer) = conn.split();
        reader.set_timeout(Some(PATIENCE)).unwrap();
        let catalog = catalog.clone();
        Self { reader, writer, closer, catalog, nonce: String::new(), ack: true, is_ours }
    }

    /// A stock Director.
    pub fn stock(port: u16, catalog: &Catalog) -> Self {
        Self::open(port, catalog, false)
    }

    /// Ours, registered.
    pub fn ours(port: u16, catalog: &Catalog, epoch: u64) -> Self {
        let (mut director, answer) = Self::register(port, catalog, epoch, epoch);
        let nonce = answer.trim().rsplit_once("nonce=").unwrap_or_else(|| panic!("{answer}")).1;
        nonce.clone_into(&mut director.nonce);
        director
    }

    /// Ours, with the answer to its registration.
    pub fn register(port: u16, catalog: &Catalog, epoch: u64, activation: u64) -> (Self, String) {
        let mut director = Self::open(port, catalog, true);
        director.send(&format!(
            "director epoch={epoch} activation={activation:032x} catalog={:032x} instance=a\n",
            7
        ));
        let answer = director.line();
        (director, answer)
    }

    pub fn send(&mut self, text: &str) {
        self.writer.send(text).unwrap();
    }

    pub fn line(&mut self) -> String {
        loop {
            if let Packet::Data(data) = self.reader.recv().unwrap() {
                return String::from_utf8_lossy(&data).into_owned();
            }
        }
    }

    /// Lines up to EOD.
    pub fn lines(&mut self) -> String {
        let mut out = String::new();
        loop {
            match self.reader.recv().unwrap() {
                Packet::Data(data) => out.push_str(String::from_utf8_lossy(&data).trim_end_matches('\0')),
                Packet::Signal(Signal::Eod) => return out,
                Packet::Signal(_) => {}
            }
        }
    }

    /// `JobId=`; gives the session (id, time) and the key.
    pub fn start_job(&mut self, id: u32, name: &str, kind: char) -> (u32, u32, String) {
        self.start_job_with(id, name, kind, "")
    }

    /// The same with more at the end of the line; ` sd_client=1` makes the job one that calls another daemon.
    pub fn start_job_with(&mut self, id: u32, name: &str, kind: char, more: &str) -> (u32, u32, String) {
        let (sd_client, more) = match more.strip_prefix(" sd_client=1") {
            Some(rest) => (1, rest),
            None => (0, more),
        };
        self.send(&format!(
            "JobId={id} job={name} job_name=J client_name=fd type={} level=70 FileSet=FS NoAttr=0 SpoolAttr=0 FileSetMD5=x SpoolData=0 \
             WritePartAfterJob=1 PreferMountedVols=1 SpoolSize=0 rerunning=0 VolSessionId=0 VolSessionTime=0 sd_client={sd_client} \
             Authorization=dummy attempt=1{more}\n",
            kind as u32
        ));
        let answer = self.line();
        let f = Fields::new(answer.as_bytes());
        let key =
            String::from_utf8(f.raw("Authorization").unwrap_or_else(|| panic!("{answer}")).to_vec()).unwrap();
        (f.get("SDid").unwrap(), f.get("SDtime").unwrap(), key)
    }

    /// `use storage=`; requests are answered meanwhile.
    pub fn use_device(&mut self, heard: &mut Heard, is_append: bool) -> String {
        self.use_named(heard, is_append, "Dev", "P")
    }

    /// The same for a device or changer and a pool.
    pub fn use_named(&mut self, heard: &mut Heard, is_append: bool, device: &str, pool: &str) -> String {
        self.send(&format!(
            "use storage=S media_type=File pool_name={pool} pool_type=Backup append={} copy=0 stripe=0 wait=1\n",
            u32::from(is_append)
        ));
        self.send(&format!("use device={device}\n"));
        self.writer.signal(Signal::Eod).unwrap();
        self.writer.signal(Signal::Eod).unwrap();
        self.writer.flush().unwrap();
        loop {
            if let Some(answer) = self.next(heard) {
                return answer;
            }
        }
    }

    pub fn bootstrap(&mut self, bsr: &str) {
        self.send("bootstrap\n");
        for line in bsr.lines() {
            self.send(&format!("{line}\n"));
        }
        self.writer.signal(Signal::Eod).unwrap();
        self.writer.flush().unwrap();
    }

    /// Takes one packet. Requests are answered, records noted and acknowledged; anything else is given back.
    pub fn next(&mut self, heard: &mut Heard) -> Option<String> {
        let Packet::Data(data) = self.reader.recv().expect("a packet of the daemon") else { return None };
        let text = String::from_utf8_lossy(&data).into_owned();
        if let Some(rest) = data.strip_prefix(b"Jrn ") {
            let digits = rest.iter().take_while(|b| b.is_ascii_digit()).count();
            let seq = std::str::from_utf8(&rest[..digits]).unwrap().parse().unwrap();
            self.record(heard, seq, &rest[digits + 1..]);
            return None;
        }
        if text.starts_with("Status ") {
            heard.statuses.push(Fields::new(&data).get("JobStatus").unwrap());
            return None;
        }
        let is_stock_record =
            ["Jmsg ", "CatReq ", "UpdCat ", "3010 ", "3099 "].iter().any(|p| text.starts_with(p));
        if !self.is_ours && is_stock_record {
            let seq = heard.records.len() as u64 + 1;
            self.record(heard, seq, &data);
            return None;
        }
        Some(text)
    }

    fn record(&mut self, heard: &mut Heard, seq: u64, payload: &[u8]) {
        let mut payload = payload.to_vec();
        let text = String::from_utf8_lossy(&payload).into_owned();
        let is_request = text.starts_with("CatReq ");
        let is_job_media = text.contains(" CreateJobMedia");
        if is_job_media && !self.is_ours {
            loop {
                match self.reader.recv().unwrap() {
                    Packet::Data(row) => payload.extend_from_slice(&row),
                    Packet::Signal(Signal::Eod) => break,
                    Packet::Signal(_) => {}
                }
            }
            self.send("1000 OK CreateJobMedia\n");
        }
        if text.starts_with("3099 ") {
            heard.end = Some(text.clone());
        }
        if let Some(before) = heard.records.insert(seq, payload.clone()) {
            assert_eq!(before, payload, "record {seq} has changed");
        }
        let answer = (is_request && !is_job_media).then(|| self.catalog.answer(&text));
        match (answer, self.is_ours) {
            (Some(answer), true) if self.ack => self.send(&format!("Ans {seq} {answer}")),
            (Some(answer), false) => self.send(&answer),
            (None, true) if self.ack => self.send(&format!("Ack {seq}\n")),
            (Some(_) | None, _) => {}
        }
    }

    /// Answers from here on, and what was asked before.
    pub fn answer(&mut self, heard: &Heard) {
        self.ack = true;
        for (seq, payload) in &heard.records {
            let text = String::from_utf8_lossy(payload);
            if text.starts_with("CatReq ") && !text.contains(" CreateJobMedia") {
                let answer = self.catalog.answer(&text);
                self.send(&format!("Ans {seq} {answer}"));
            }
        }
    }

    /// Listens until the job has ended.
    pub fn until_end(&mut self, heard: &mut Heard) {
        self.until(heard, |h| h.end.is_some());
    }

    /// Listens until a condition holds.
    pub fn until(&mut self, heard: &mut Heard, holds: impl Fn(&Heard) -> bool) {
        let limit = Instant::now() + PATIENCE;
        while !holds(heard) {
            assert!(Instant::now() < limit, "not within {PATIENCE:?}: {:?}", heard.texts());
            if let Some(other) = self.next(heard) {
                panic!("unexpected: {other}");
            }
        }
    }
}
