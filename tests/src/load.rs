//! Load for measurements and for standing it: many rows for the catalog, and data that keeps processors busy.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use testkit::site::Builder;

use crate::audit::Trees;

/// Files in a folder.
const FILES_PER_FOLDER: u64 = 1000;

/// Trees and the Jobs that save them.
#[derive(Debug, Clone)]
pub struct Load {
    /// Files of the Job `Rows`.
    rows: PathBuf,
    /// Files of the Jobs `Data1`, `Data2`, ….
    data: PathBuf,
    /// How many of these there are.
    pub data_jobs: usize,
}

impl Load {
    /// Makes below `root` `rows` empty files, and `data` files of a megabyte.
    ///
    /// # Errors
    /// When one cannot be written.
    pub fn make(root: &Path, rows: u64, data: usize, data_jobs: usize) -> Result<Self> {
        let load = Self { rows: root.join("rows"), data: root.join("data"), data_jobs };
        for index in 0..rows {
            let folder = load.rows.join(format!("d{:05}", index / FILES_PER_FOLDER));
            if index % FILES_PER_FOLDER == 0 {
                fs::create_dir_all(&folder).with_context(|| format!("make {}", folder.display()))?;
            }
            let path = folder.join(format!("f{index:07}"));
            fs::File::create(&path).with_context(|| format!("make {}", path.display()))?;
        }
        fs::create_dir_all(&load.data)?;
        // Costs a compressor its time, and a Volume nearly no room.
        let text = testkit::Rng::new(7).text(4096).repeat(256);
        for index in 0..data {
            fs::write(load.data.join(format!("{index:05}.txt")), &text)?;
        }
        Ok(load)
    }

    /// What the jobs save, for the audit.
    #[must_use]
    pub fn trees(&self) -> Trees {
        let rows = Trees::none().job("Rows", &[&self.rows]);
        (1..=self.data_jobs).fold(rows, |trees, number| trees.job(&format!("Data{number}"), &[&self.data]))
    }

    /// Adds the Jobs and their FileSets to a site.
    #[must_use]
    pub fn add_to(&self, builder: Builder) -> Builder {
        let mut text = file_set("Rows", "signature = MD5", &self.rows)
            + &file_set("Data", "signature = SHA256; compression = GZIP6", &self.data)
            + &job("Rows", "Rows");
        for number in 1..=self.data_jobs {
            text += &job(&format!("Data{number}"), "Data");
        }
        builder.extra(text)
    }
}

fn file_set(name: &str, options: &str, path: &Path) -> String {
    format!(
        "FileSet {{ Name = {name}; Include {{ Options {{ {options} }}; File = \"{}\" }} }}\n",
        path.display()
    )
}

fn job(name: &str, set: &str) -> String {
    format!("Job {{ Name = {name}; JobDefs = Defaults; FileSet = {set} }}\n")
}
