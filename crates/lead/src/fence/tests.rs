//! A scripted agent: what it answers, how often it is called, what it gets and what it leaves behind.

use super::*;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::time::Instant;
use tempfile::TempDir;

const METADATA: &str =
    r#"<resource-agent name="fence_scripted"><actions><action name="off"/></actions></resource-agent>"#;

/// An agent written in shell. `$action` is what it is called for, `$n` how often it was called for that before; `off` and
/// `on` say what its machine is. It keeps what it read in `input`, its arguments in `arguments`, its calls in `calls`.
struct Scripted {
    dir: TempDir,
    device: FenceDevice,
}

impl Scripted {
    fn new(body: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let agent = dir.path().join("fence_scripted");
        let at = dir.path().display();
        let text = format!(
            "#!/bin/sh\ncd '{at}' || exit 9\necho \"$*\" >> arguments\n: >> calls\nenv >> environment\ncat > input\n\
             action=$(sed -n 's/^action=//p' input)\n[ $action = metadata ] && {{ cat metadata; exit; }}\n\
             n=$(grep -c \"^$action\\$\" calls)\necho \"$action\" >> calls\n\
             is_on() {{ [ ! -e power-off ]; }}\nstatus() {{ is_on && exit 0; exit 2; }}\n{body}\n"
        );
        fs::write(&agent, text).unwrap();
        fs::write(dir.path().join("metadata"), METADATA).unwrap();
        fs::set_permissions(&agent, fs::Permissions::from_mode(0o755)).unwrap();
        let device = FenceDevice {
            name: "scripted".into(),
            description: None,
            agent: agent.display().to_string(),
            options: vec!["ip=10.1.9.1".into(), "password=geh=eim".into()],
            timeout: Duration::from_secs(20),
            retries: 2,
            retry_delay: Duration::ZERO,
        };
        Self { dir, device }
    }

    fn fencer(&self) -> Fencer {
        Fencer::new(&self.device).unwrap()
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn read(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap_or_default()
    }

    fn calls(&self) -> Vec<String> {
        self.read("calls").lines().map(str::to_owned).collect()
    }
}

#[tokio::test]
async fn a_machine_is_switched_off_once_and_its_status_is_asked_before_and_after() {
    let agent = Scripted::new("case $action in status) status;; off) : > power-off;; esac");
    assert_eq!(agent.fencer().status().await.unwrap(), Power::On);
    let ended = agent.fencer().off().await;
    assert!(matches!(ended, Fenced::Off { already: false }), "{ended}");
    assert_eq!(agent.calls(), ["status", "status", "off", "status"]);
    let again = agent.fencer().off().await;
    assert!(matches!(again, Fenced::Off { already: true }), "{again}");
    assert_eq!(agent.calls().len(), 5);
}

#[tokio::test]
async fn a_machine_is_switched_on_once_and_only_its_status_counts() {
    let body = "case $action in status) status;; off) : > power-off;; on) [ $n = 0 ] || rm power-off;; esac";
    let agent = Scripted::new(body);
    assert_eq!(agent.fencer().on().await.unwrap(), Power::On);
    assert_eq!(agent.calls(), ["status"]);
    assert!(agent.fencer().off().await.is_off());
    // The first `on` changes nothing, whatever it reports.
    assert_eq!(agent.fencer().on().await.unwrap(), Power::On);
    assert_eq!(agent.calls()[4..], ["status", "on", "status", "on", "status"]);
}

#[tokio::test]
async fn a_machine_that_is_not_switched_on_is_no_success() {
    let obeys = Scripted::new(": > power-off; case $action in status) status;; esac");
    assert_eq!(obeys.fencer().on().await.unwrap(), Power::Off);
    assert_eq!(obeys.calls().iter().filter(|call| *call == "on").count(), 3);
    let refuses =
        Scripted::new(": > power-off; case $action in status) status;; on) echo no >&2; exit 1;; esac");
    let error = refuses.fencer().on().await.unwrap_err();
    assert_eq!(error.to_string(), "fence_scripted: on: exit code 1: no");
}

#[tokio::test]
async fn options_go_over_the_standard_input_alone() {
    let agent = Scripted::new("case $action in status) status;; esac");
    agent.fencer().status().await.unwrap();
    assert_eq!(agent.read("input"), "action=status\nip=10.1.9.1\npassword=geh=eim\n");
    assert_eq!(agent.read("arguments"), "\n");
    assert!(!agent.read("environment").contains("geh=eim"));
    assert!(!format!("{:?}", agent.fencer()).contains("geh=eim"));
}

#[tokio::test]
async fn an_off_that_changes_nothing_is_no_success() {
    let agent = Scripted::new("case $action in status) status;; esac");
    let ended = agent.fencer().off().await;
    assert!(matches!(ended, Fenced::StillOn { off: None }), "{ended}");
    assert_eq!(agent.calls().iter().filter(|call| *call == "off").count(), 3);
}

#[tokio::test]
async fn an_off_that_fails_tells_why_and_keeps_the_password() {
    let agent = Scripted::new(
        "case $action in status) status;; off) echo 'login with geh=eim denied' >&2; exit 1;; esac",
    );
    let ended = agent.fencer().off().await;
    assert_eq!(ended.to_string(), "still on: fence_scripted: off: exit code 1: login with *** denied");
}

#[tokio::test]
async fn a_failed_call_is_made_again() {
    let agent = Scripted::new(
        "case $action in status) [ $n = 0 ] && exit 1; status;; off) [ $n = 0 ] && exit 1; : > power-off;; esac",
    );
    assert_eq!(agent.fencer().status().await.unwrap(), Power::On);
    let ended = agent.fencer().off().await;
    assert!(matches!(ended, Fenced::Off { already: false }), "{ended}");
    assert_eq!(agent.calls(), ["status", "status", "status", "off", "status", "off", "status"]);
}

#[tokio::test]
async fn without_a_status_nothing_is_claimed_though_off_reports_success() {
    let agent = Scripted::new("case $action in status) echo 'Connection timed out' >&2; exit 1;; esac");
    let error = agent.fencer().status().await.unwrap_err();
    assert_eq!(error.to_string(), "fence_scripted: status: exit code 1: Connection timed out");
    assert_eq!(agent.calls().len(), 3);
    let ended = agent.fencer().off().await;
    assert!(matches!(ended, Fenced::Unknown { off: None, .. }), "{ended}");
    assert!(agent.calls().contains(&"off".to_owned()), "a board that cannot answer may still obey");
}

#[tokio::test]
async fn an_off_whose_answer_is_lost_counts_when_the_status_says_off() {
    let agent = Scripted::new("case $action in status) status;; off) : > power-off; kill -9 $$;; esac");
    let ended = agent.fencer().off().await;
    assert!(matches!(ended, Fenced::Off { already: false }), "{ended}");
}

/// Waits until there is no such process.
fn wait_gone(pid: &str) {
    let path = PathBuf::from("/proc").join(pid.trim());
    let start = Instant::now();
    // A killed process stays in the list until its parent, here init, has taken note of it.
    let gone = || fs::read_to_string(path.join("stat")).map_or(true, |stat| stat.contains(") Z "));
    while !gone() {
        assert!(start.elapsed() < Duration::from_secs(20), "process {pid} lives on");
        // No event: it is no child of this process.
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[tokio::test]
async fn an_agent_that_hangs_is_ended_with_what_it_started() {
    let mut agent = Scripted::new("sleep 1000 & echo $! > child; echo $$ > self; sleep 1000");
    agent.device.timeout = Duration::from_secs(1);
    agent.device.retries = 0;
    let ended = agent.fencer().off().await;
    assert!(matches!(ended, Fenced::Unknown { .. }), "{ended}");
    assert!(ended.to_string().contains("status: no answer within 1 s"), "{ended}");
    wait_gone(&agent.read("child"));
    wait_gone(&agent.read("self"));
}

#[tokio::test]
async fn a_call_that_is_dropped_ends_its_agent() {
    let agent = Scripted::new("sleep 1000 & echo $! > child.tmp; mv child.tmp child; sleep 1000");
    let fencer = agent.fencer();
    let started = async {
        while !agent.path("child").exists() {
            tokio::task::yield_now().await;
        }
    };
    let call = fencer.status();
    tokio::select! {
        ended = call => panic!("{ended:?}"),
        started = tokio::time::timeout(Duration::from_secs(20), started) => started.expect("the agent starts"),
    }
    wait_gone(&agent.read("child"));
}

#[tokio::test]
async fn what_an_agent_leaves_running_does_not_hold_the_call_and_is_ended() {
    let agent = Scripted::new("sleep 1000 & echo $! > child; status");
    assert_eq!(agent.fencer().status().await.unwrap(), Power::On);
    wait_gone(&agent.read("child"));
}

#[tokio::test]
async fn an_agent_that_floods_or_does_not_read_is_borne() {
    let agent = Scripted::new("head -c 3000000 /dev/zero; head -c 3000000 /dev/zero >&2; status");
    assert_eq!(agent.fencer().status().await.unwrap(), Power::On);
    let mut agent = Scripted::new("");
    fs::write(agent.path("fence_scripted"), "#!/bin/sh\nexec <&-\nexit 0\n").unwrap();
    agent.device.options.push(format!("plug={}", "x".repeat(200_000)));
    assert_eq!(agent.fencer().status().await.unwrap(), Power::On);
}

#[tokio::test]
async fn metadata_that_are_garbage_are_refused_with_the_agents_name() {
    let agent = Scripted::new("status");
    fs::write(agent.path("metadata"), "<html>no</html>").unwrap();
    let error = agent.fencer().metadata().await.unwrap_err();
    assert_eq!(
        chain(&error),
        "fence_scripted: metadata: no <resource-agent> in what it writes; is it a fence agent?"
    );
}

#[tokio::test]
async fn a_script_that_its_shell_cannot_read_is_no_machine_that_is_off() {
    // The shell's own exit code is 2 then, which an agent says for "off"; so is Python's for a file that is not there.
    let agent = Scripted::new("case )");
    fs::write(agent.path("fence_scripted"), "#!/bin/sh\ncase )\n").unwrap();
    let ended = agent.fencer().off().await;
    assert!(matches!(ended, Fenced::Unknown { .. }), "{ended}");
    agent.fencer().status().await.unwrap_err();
}

#[tokio::test]
async fn a_program_that_cannot_be_run_is_not_tried_again() {
    let agent = Scripted::new("");
    fs::write(agent.path("fence_scripted"), "#!/no/such/interpreter\n").unwrap();
    let ended = agent.fencer().off().await;
    assert!(matches!(ended, Fenced::Unknown { status: AgentError::Start { .. }, .. }), "{ended}");
    assert!(ended.to_string().contains("No such file"), "{ended}");
}

#[test]
fn a_fencing_has_a_bound() {
    let mut agent = Scripted::new("");
    agent.device.retry_delay = Duration::from_secs(20);
    // Eleven calls of 20 s, pauses of 20 s and 30 s.
    assert_eq!(agent.fencer().longest(), Duration::from_secs(11 * 20 + 20 + 30));
}
