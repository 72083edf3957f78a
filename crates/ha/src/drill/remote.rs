//! Lines of shell on the nodes of the topology, through its `Remote Shell`.

use std::process::Stdio;
use std::time::Duration;

use conf::TopologyConfig;
use tokio::process::Command;

use crate::status::one_line;

/// The nodes.
#[derive(Debug, Clone, Copy)]
pub(super) struct Remote<'a> {
    topology: &'a TopologyConfig,
}

impl<'a> Remote<'a> {
    pub(super) const fn new(topology: &'a TopologyConfig) -> Self {
        Self { topology }
    }

    /// Runs a line on a node, and gives what it printed. When the call is dropped the shell is killed.
    ///
    /// # Errors
    /// One line: it could not be started, failed, or took longer than the limit.
    pub(super) async fn run(&self, node: &str, line: &str, limit: Duration) -> Result<String, String> {
        let of = self.topology.node(node).ok_or_else(|| format!("the topology has no Node \"{node}\""))?;
        let words = words(&self.topology.topology.remote_shell, &of.address.ip().to_string(), node);
        let Some((program, arguments)) = words.split_first() else {
            return Err("the Remote Shell of the Topology is empty".to_owned());
        };
        let mut command = Command::new(program);
        // In a process group of its own: who stops a drill with Ctrl-C does not stop the order that takes the fault back.
        command.args(arguments).arg(line).stdin(Stdio::null()).process_group(0).kill_on_drop(true);
        let output = match tokio::time::timeout(limit, command.output()).await {
            Err(_) => return Err(format!("{node}: no end of `{line}` in {} s", limit.as_secs())),
            Ok(Err(error)) => return Err(format!("{node}: start {program}: {error}")),
            Ok(Ok(output)) => output,
        };
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        if output.status.success() {
            return Ok(text);
        }
        let said = format!("{} {text}", String::from_utf8_lossy(&output.stderr));
        Err(format!("{node}: `{line}`: {}: {}", output.status, one_line(&said)))
    }

    /// The same on the first of several nodes on which it succeeds.
    ///
    /// # Errors
    /// One line with the reason of each.
    pub(super) async fn run_on_one(
        &self,
        nodes: &[String],
        line: &str,
        limit: Duration,
    ) -> Result<String, String> {
        let mut failed = Vec::new();
        for node in nodes {
            match self.run(node, line, limit).await {
                Ok(said) => return Ok(said),
                Err(why) => failed.push(why),
            }
        }
        Err(failed.join("; "))
    }
}

/// The words of a Remote Shell for a node.
fn words(shell: &str, address: &str, name: &str) -> Vec<String> {
    let word = |word: &str| word.replace("%a", address).replace("%n", name);
    shell.split_whitespace().map(word).collect()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    #[tokio::test]
    async fn a_signal_to_the_drill_does_not_reach_its_orders() {
        let example = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/examples/two-nodes.conf");
        let text = std::fs::read_to_string(example).unwrap();
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), text.replace("Topology {", "Topology { Remote Shell = \"sh -c\";"))
            .unwrap();
        let topology = crate::render::load(file.path()).unwrap();
        let is_leader = "test $(cut -d ' ' -f 5 /proc/$$/stat) = $$";
        let limit = Duration::from_secs(60);
        super::Remote::new(&topology).run("dir-north", is_leader, limit).await.unwrap();
    }

    #[test]
    fn a_node_stands_where_the_shell_wants_it() {
        let words = super::words("ssh -o BatchMode=yes root@%a", "10.1.0.11", "north");
        assert_eq!(words, ["ssh", "-o", "BatchMode=yes", "root@10.1.0.11"]);
        assert_eq!(super::words("reach %n", "10.1.0.11", "north"), ["reach", "north"]);
        assert!(super::words(" ", "", "").is_empty());
    }
}
