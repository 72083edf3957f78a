//! A script for each machine that puts its files in place, with mode and owner. The packages that bring users and groups
//! come first.

use std::fmt::Write as _;

use super::Tree;
use super::tree::{Content, NODES};

/// Folder of the scripts.
pub(super) const FOLDER: &str = "install";

const HEAD: &str = "\
#!/bin/sh
# Rendered by holdfast ha render. Run as root on the machine. With a folder as the argument everything goes below that instead
# of `/`. Nothing is started.
set -eu
root=${1:-}
";

pub(super) fn render(tree: &mut Tree) {
    for machine in tree.machines() {
        let mut text = format!("{HEAD}cd \"$(dirname \"$0\")/../{NODES}/{machine}\"\n");
        for (path, entry) in tree.of_machine(&machine) {
            match &entry.content {
                Content::Link(target) => {
                    let folder = path.rsplit_once('/').map_or("", |(folder, _)| folder);
                    let _ = writeln!(text, "install -d \"$root{folder}\"\nln -sfn {target} \"$root{path}\"");
                }
                Content::Text(_) => {
                    let (user, group) = &entry.owner;
                    let _ = writeln!(
                        text,
                        "install -D -o {user} -g {group} -m {:04o} .{path} \"$root{path}\"",
                        entry.mode
                    );
                }
            }
        }
        tree.put(format!("{FOLDER}/{machine}.sh"), text).mode(0o755);
    }
}
