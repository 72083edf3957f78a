//! Rows per second into File: `ingest sqlite|postgresql [ROWS]`. The numbers in benches/README.md are from here.
//!
//! As a running job does it: batches of 8192 with the journal's position, ten files in a directory.

#![allow(clippy::print_stdout, clippy::unwrap_used, reason = "a measuring program")]

use catalog::file::{Ingest, NewFile};
use catalog::journal::{self, JournalKey};
use catalog::leader::Activation;
use catalog::postgres::{PostgresSettings, Tls};
use catalog::{Catalog, job};
use std::time::Instant;
use testkit::postgres::{CATALOG_USER, Postgres};
use types::{ActivationId, Attempt, ClientId, FileIndex, JobId, JobLevel, JobType, Seq, Timestamp};

const BATCH: usize = 8192;

fn files(first: usize, count: usize) -> Vec<NewFile> {
    let file = |i: usize| NewFile {
        file_index: FileIndex(i32::try_from(i + 1).unwrap()),
        path: format!("/srv/data/projects/{}/deep/{}/", i / 1000, i / 10).into_bytes(),
        name: format!("document-{i}.txt").into_bytes(),
        lstat: "P4A m+QD IGk C A A A DIN BAA g BrBFav BrBFXD BrBFXD A A E".to_owned(),
        digest: "lxIA06R5d+oxMHsi27FhcC".to_owned(),
        delta_seq: 0,
    };
    (first..first + count).map(file).collect()
}

fn main() {
    let database = std::env::args().nth(1).unwrap_or_else(|| "postgresql".to_owned());
    let rows: usize = std::env::args().nth(2).map_or(1_000_000, |text| text.parse().unwrap());
    let dir = tempfile::tempdir().unwrap();
    let mut server = None;
    let catalog = if database == "sqlite" {
        Catalog::open_sqlite(&dir.path().join("c.db"), "dir").unwrap()
    } else {
        let server = server.insert(Postgres::start().unwrap());
        server.create_database("bacula").unwrap();
        Catalog::open_postgres(PostgresSettings {
            address: server.socket_dir().display().to_string(),
            port: server.port(),
            user: CATALOG_USER.to_owned(),
            password: String::new(),
            database: "bacula".to_owned(),
            tls: Tls::default(),
            director: "dir".to_owned(),
            instance: "a".to_owned(),
            lease: None,
        })
        .unwrap()
    };
    tokio::runtime::Runtime::new().unwrap().block_on(measure(&catalog, rows, &database));
}

async fn measure(catalog: &Catalog, rows: usize, database: &str) {
    let wish = Activation {
        holder: "a".to_owned(),
        activation: ActivationId(1),
        seen: Vec::new(),
        timeline: 0,
        now: Timestamp(1),
    };
    let epoch = catalog.raise_epoch(wish).await.unwrap().epoch;
    let new = job::NewJob {
        unique_name: "J.1".to_owned(),
        name: "J".to_owned(),
        job_type: JobType::Backup,
        level: JobLevel::Full,
        client_id: ClientId(1),
        sched_time: Timestamp(1),
        created: Timestamp(1),
        prior_job_id: JobId(0),
        comment: String::new(),
    };
    let job = catalog.write(epoch, move |tx| job::create(tx, &new)).await.unwrap();
    let key = JournalKey { job_id: job, attempt: Attempt(1), storage: "File1".to_owned() };
    let mut ingest = Some(Ingest::new(job, false));
    let start = Instant::now();
    for first in (0..rows).step_by(BATCH) {
        let batch = files(first, BATCH.min(rows - first));
        let known = std::cell::Cell::new(ingest.take());
        let key = key.clone();
        let written = catalog.write(epoch, move |tx| {
            let mut ingest = known.take().unwrap_or_else(|| Ingest::new(job, false));
            ingest.insert(tx, &batch, None)?;
            journal::advance(tx, &key, Seq(first as u64 + 1))?;
            Ok(ingest)
        });
        ingest = Some(written.await.unwrap());
    }
    let seconds = start.elapsed().as_secs_f64();
    println!("{database}: {rows} rows in {seconds:.1} s, {:.0} rows/s", rows as f64 / seconds);
}
