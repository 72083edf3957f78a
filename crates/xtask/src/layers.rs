//! Dependencies point up the list of layers only (ARCHITECTURE.md), and each outside crate has its reason there.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use crate::Breach;
use crate::text::PURE;

/// The layers' crates from the top: a crate may use those above it.
const ORDER: &[&str] = &[
    "types", "conf", "attrs", "volume", "wire", "policy", "catalog", "net", "sys", "lead", "client",
    "storage", "director", "console", "ha", "testkit", "sim", "demo", "holdfast",
];

/// Crates of others that pure crates cannot use without ceasing to be pure.
const IMPURE: &[&str] =
    &["tokio", "tokio-util", "tokio-openssl", "rand", "rustix", "nix", "libc", "socket2", "rusqlite"];

/// Crates beside the layers that only tests may use.
const BESIDE: &[&str] = &["testkit", "sim"];

pub(crate) fn check(root: &Path) -> Result<Vec<Breach>> {
    let mut found = Vec::new();
    for (at, name) in ORDER.iter().enumerate() {
        let file = PathBuf::from("crates").join(name).join("Cargo.toml");
        let Ok(manifest) = std::fs::read_to_string(root.join(&file)) else { continue };
        for (line, dependency) in section(&manifest, "[dependencies]") {
            let below = ORDER.iter().position(|other| *other == dependency).is_some_and(|other| other >= at);
            let beside = BESIDE.contains(&dependency) && *name != "demo" && !BESIDE.contains(name);
            if PURE.contains(name) && IMPURE.contains(&dependency) {
                let text = format!("{name} is pure and does not use {dependency}");
                found.push(Breach { file: file.clone(), line, text });
            }
            if below || beside {
                let text =
                    format!("{name} must not depend on {dependency}: see the layers in ARCHITECTURE.md");
                found.push(Breach { file: file.clone(), line, text });
            }
        }
    }
    reasons(root, &mut found)?;
    Ok(found)
}

/// Each crate that the workspace uses is named in the table of dependencies.
fn reasons(root: &Path, found: &mut Vec<Breach>) -> Result<()> {
    let manifest = std::fs::read_to_string(root.join("Cargo.toml")).context("read Cargo.toml")?;
    let map = std::fs::read_to_string(root.join("ARCHITECTURE.md")).unwrap_or_default();
    let table = map.split("## Dependencies").nth(1).unwrap_or_default();
    for (line, dependency) in section(&manifest, "[workspace.dependencies]") {
        let words = |text: &str| {
            text.split(|c: char| !c.is_ascii_alphanumeric() && c != '-' && c != '_').any(|w| w == dependency)
        };
        if !ORDER.contains(&dependency) && !words(table) {
            let text =
                format!("{dependency} has no line with its reason in ARCHITECTURE.md, table of dependencies");
            found.push(Breach { file: "Cargo.toml".into(), line, text });
        }
    }
    Ok(())
}

/// The names that a section of a manifest lists, with their lines.
fn section<'a>(manifest: &'a str, header: &'a str) -> impl Iterator<Item = (usize, &'a str)> {
    let lines = manifest.lines().enumerate().skip_while(move |(_, line)| line.trim() != header).skip(1);
    lines.take_while(|(_, line)| !line.starts_with('[')).filter_map(|(at, line)| {
        let name = line.split(['.', '=', ' ']).next()?.trim();
        (!name.is_empty() && !name.starts_with('#')).then_some((at + 1, name))
    })
}
