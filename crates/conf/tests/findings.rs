//! What is reported: the recorded edge cases of Bacula 9.6.7, everything at once, with the right place and word.

#![allow(clippy::unwrap_used, reason = "helpers of tests")]

use conf::{Diagnostics, DirectorConfig, Severity, TextLoader, load};
use expect_test::{Expect, expect};

/// A Director's file that is complete but for what a test adds.
const REST: &str = r#"Director { Name = d; Password = p; Query File = q; Working Directory = /tmp; Pid Directory = /tmp }
Catalog { Name = c; DB Name = b }
Messages { Name = m; Console = all }
Client { Name = f; Address = f; Password = p; Catalog = c }
Storage { Name = st; Address = s; Password = p; Device = v; Media Type = t }
Pool { Name = po; Pool Type = Backup }
FileSet { Name = x; Include { File = / } }
Job { Name = j; Type = Backup; Client = f; Storage = st; Pool = po; FileSet = x; Messages = m }
"#;

fn read(text: &str) -> Result<DirectorConfig, Diagnostics> {
    let mut loader = TextLoader::new("t.conf", format!("{REST}{text}"));
    loader.texts.push(("part.conf".into(), b"Pool Type = Backup".to_vec()));
    let program = r#"sh -c "echo 'Pool { Name = gen2; Pool Type = Backup }'""#;
    loader.texts.push((format!("|{program}"), b"Pool { Name = gen2; Pool Type = Backup }\n".to_vec()));
    load::<DirectorConfig>("t.conf", &mut loader).map(|loaded| loaded.config)
}

#[allow(clippy::needless_pass_by_value, reason = "expect! makes a value")]
fn check(text: &str, expected: Expect) {
    let found = read(text).map_or_else(|findings| findings.to_string(), |_| "nothing".into());
    expected.assert_eq(&found.replace("t.conf:", ""));
}

/// Cases of the fixture that Bacula refuses and we accept on purpose: a closing brace is never swallowed (spec/04 §1.2),
/// numbers and units of later versions are known.
const SUPERSET: &[&str] =
    &["size: 5 KiB", "size then brace on the same line: brace swallowed", "list then brace on the same line"];

#[test]
fn the_recorded_edge_cases_are_read_or_refused_as_recorded() {
    let fixture = include_str!("../fixtures/config-edge-cases.txt");
    let mut cases = 0;
    for case in fixture.split("### ").filter(|c| !c.trim().is_empty()) {
        let title = case.lines().next().unwrap();
        let text: String =
            case.lines().filter_map(|l| l.strip_prefix("| ")).map(|l| format!("{l}\n")).collect();
        let answer: String = case.lines().skip(1).filter(|l| !l.starts_with("| ")).collect();
        let result = read(&text);
        cases += 1;
        if !answer.contains("ERROR") || SUPERSET.contains(&title) {
            let config = result.unwrap_or_else(|e| panic!("{title}: {e}"));
            check_json(title, &config, &answer);
        } else {
            assert!(result.is_err(), "{title} must be refused");
        }
    }
    assert_eq!(cases, 62);
}

/// Compares what Bacula's JSON tool printed of the Pools with what we read.
fn check_json(title: &str, config: &DirectorConfig, answer: &str) {
    let number = |key: &str| {
        let rest = answer.split_once(&format!("\"{key}\": "))?.1;
        rest[..rest.find([' ', ',', '}'])?].parse::<u64>().ok()
    };
    let text = |key: &str| {
        let rest = answer.split_once(&format!("\"{key}\": \""))?.1;
        let end = rest.char_indices().find(|(i, c)| *c == '"' && !rest[..*i].ends_with('\\'))?.0;
        Some(rest[..end].replace("\\n", "\n").replace("\\\"", "\"").replace("\\\\", "\\"))
    };
    let Some(name) = text("Name") else { return };
    // Bacula's tool squeezes blanks in what it prints; the value itself keeps them.
    let pool = config.pools.iter().skip(1).find(|p| p.name.replace("  ", " ") == name);
    let pool = pool.unwrap_or_else(|| panic!("{title}: no Pool {name:?}"));
    assert_eq!(Some(pool.pool_type.clone()), text("PoolType"), "{title}");
    if let Some(description) = text("Description") {
        let squeezed = pool.description.clone().unwrap_or_default().replace("\n  def", "\n def");
        assert_eq!(squeezed, description, "{title}");
    }
    for (key, value) in [
        ("MaximumVolumeBytes", pool.maximum_volume_bytes),
        ("VolumeRetention", pool.volume_retention.as_secs()),
        ("MaximumVolumes", u64::from(pool.maximum_volumes)),
        ("MaximumVolumeJobs", u64::from(pool.maximum_volume_jobs)),
    ] {
        if let Some(expected) = number(key) {
            assert_eq!(value, expected, "{title}: {key}");
        }
    }
}

#[test]
fn everything_is_reported_at_once() {
    check(
        r#"Pool { Name = a; Pool Tpye = Backup }
Pool { Name = po; Pool Type = Backup; Recycle = on; Volume Retention = 2 hrs; Maximum Volumes = many }
Jobb { Name = z; Type = { } }
Job { Name = k; JobDefs = nodefs; Type = Bakcup; Clint = f; Next Pool = f
  Schedule = s; Client = ff; Pool = po; FileSet = x; Messages = m; Storage = st, stt }
Client { Name = g; Adress = x; Catalog = c; Maximum Volumes = 3 }
}
Schedule { Name = s; Run = Full mno at 2:00 }
"#,
        expect![[r#"
            9:18: error: `Pool Tpye` is no directive of Pool; did you mean `Pool Type`?
            10:15: error: there are two Pool resources named "po"; the first one is in line 6; rename one of them
            10:49: error: `on` is neither yes nor no; write yes, no, true or false
            10:72: error: `Volume Retention`: `hrs` is no unit; units are seconds, minutes, hours, days, weeks, months, quarters, years
            10:97: error: `Maximum Volumes`: `many` is no number
            11:1: error: `Jobb` is no resource of a Director's configuration; did you mean `Job`?
            12:27: error: `JobDefs`: there is no JobDefs named "nodefs"
            12:42: error: `Bakcup` is no value of `Type`; did you mean `Backup`?
            12:50: error: `Clint` is no directive of Job; did you mean `Client`?
            12:73: error: `Next Pool`: there is no Pool named "f"; there is a Client of that name
            13:26: error: `Client`: there is no Client named "ff"; did you mean `f`?
            13:82: error: `Storage`: there is no Storage named "stt"; did you mean `st`?
            14:1: error: Client "g" lacks `Password`; add `Password = "fd-secret"`
            14:20: error: `Adress` is no directive of Client; did you mean `Address`?
            14:45: error: `Maximum Volumes` is no directive of Client; it belongs in Pool
            15:1: error: a `}` outside of any resource; a brace too many, or one that was closed too early above
            16:33: error: `mno` is no word of a Run line; did you mean `mon`?"#]],
    );
}

#[test]
fn findings_are_rendered_with_the_text_underlined() {
    let findings = read("Pool { Name = a; Pool Type = Backup\n  Recyle = yes }\n").unwrap_err();
    expect![[r#"
          × `Recyle` is no directive of Pool
            ╭─[t.conf:10:3]
          9 │ Pool { Name = a; Pool Type = Backup
         10 │   Recyle = yes }
            ·   ──────
            ╰────
          help: did you mean `Recycle`?
        1 error, 0 warnings
    "#]]
    .assert_eq(&findings.render(false));
}

#[test]
fn what_is_ignored_or_not_in_effect_is_said() {
    let text = format!(
        "{REST}Pool {{ Name = a; Pool Type = Backup; Label Format = a- b }}\nConsole {{ Name = c; Password = p; Directory ACL = x }}\n"
    );
    let mut loader = TextLoader::new("t.conf", text);
    let loaded = load::<DirectorConfig>("t.conf", &mut loader).unwrap();
    assert!(loaded.warnings.list.iter().all(|w| w.severity == Severity::Warning));
    expect![[r#"
        t.conf:9:56: warning: this text is ignored; put the value in quotes if it belongs to it
        t.conf:10:51: warning: `Directory ACL` is not yet in effect"#]]
    .assert_eq(&loaded.warnings.to_string());
}

#[test]
fn includes_may_stand_anywhere_a_token_may() {
    let config = read("Pool { Name = inc; @part.conf\n Maximum Volumes = 3 }\n").unwrap();
    assert_eq!(config.pool("inc").map(|p| p.maximum_volumes), Some(3));
    check(
        "Pool { Name = inc; Pool Type = Backup\n @nofile\n}\n",
        expect!["10:2: error: cannot read `nofile`: No such file or directory"],
    );
}

#[test]
fn a_file_that_includes_itself_ends() {
    let mut loader = TextLoader::new("t.conf", "@t.conf\n");
    let findings = load::<DirectorConfig>("t.conf", &mut loader).unwrap_err();
    assert!(findings.to_string().contains("does it include itself?"), "{findings}");
}

#[test]
fn checks_of_the_whole_file() {
    check(
        r#"Storage { Name = o; Address = a; Password = p; Device = d; Media Type = t; TLS Enable = yes; TLS Certificate = /c }
Job { Name = cp; Type = Copy; Client = f; Pool = po; FileSet = x; Messages = m }
Director { Name = e; Password = p; Query File = q; Working Directory = /tmp; Pid Directory = /tmp; Dir Port = 1
  Dir Addresses = { ip = { addr = localhost; port = bacula-dir } ipv4 = { addr = 127.0.0.1; prot = 3 } } }
"#,
        expect![[r#"
            9:89: error: `TLS Certificate` and `TLS Key` belong together; give both
            9:89: error: TLS has nothing to check certificates against; add `TLS CA Certificate File`
            10:1: error: Job "cp" has no Storage, nor has its Pool; add `Storage = name` to the Job or to the Pool
            10:1: error: Job "cp" lacks `Selection Type`; add `Selection Type = PoolUncopiedJobs` or another one
            11:1: error: there is more than one Director resource; the daemon is described by exactly one; remove this one
            11:111: error: `Dir Port` cannot stand beside `Dir Addresses`; put the address and port into the block
            12:93: error: addr or port, each once, is expected here"#]],
    );
}

#[test]
fn findings_do_not_show_the_secrets_around_them() {
    let text = "Client { Name = g; Address = x; Catalog = c\n Password = \"fd secret\"; Recyle = yes\n FD Password = other }\n";
    let shown = read(text).unwrap_err().render(false);
    assert!(shown.contains("Recyle") && !shown.contains("secret") && !shown.contains("other"), "{shown}");
}

fn load_warnings(text: &str) -> String {
    let mut loader = TextLoader::new("t.conf", format!("{REST}{text}"));
    load::<DirectorConfig>("t.conf", &mut loader).unwrap().warnings.to_string()
}

const CLUSTER: &str = r#"Cluster { Name = dc1; Fence = required; Lease Time = 3 s }
Instance { Name = a; Address = 10.1.0.1; Fence Device = ipmi-a }
Instance { Name = b; Address = 10.2.0.1; Fence Device = ipmi-b }
Fence Device { Name = ipmi-a; Agent = fence_ipmilan; Option = "ip=10.1.9.1", "username=op"
  Option = "password=geheim,=1"; Timeout = 20 s; Retries = 1 }
Fence Device { Name = ipmi-b; Agent = /opt/fence_own; Option = "ip=10.2.9.1" }
"#;

#[test]
fn a_cluster_with_its_fence_devices_is_read() {
    let config = read(CLUSTER).unwrap();
    let device = config.fence_device("ipmi-a").unwrap();
    let parameters: Vec<_> = device.parameters().collect();
    assert_eq!(parameters, [("ip", "10.1.9.1"), ("username", "op"), ("password", "geheim,=1")]);
    assert_eq!((device.timeout.as_secs(), device.retries, device.retry_delay.as_secs()), (20, 1, 1));
    assert_eq!(config.instance("b").unwrap().fence_device.as_deref(), Some("ipmi-b"));
    assert_eq!(config.cluster.unwrap().fence, Some(conf::director::Fence::Required));
    assert!(load_warnings(CLUSTER).is_empty(), "all of it is in effect");
    // Which it is without a word depends on the site: nothing is decided here.
    let silent = read(&CLUSTER.replace(" Fence = required;", "")).unwrap();
    assert_eq!(silent.cluster.unwrap().fence, None);
}

#[test]
fn a_cluster_that_cannot_work_is_refused() {
    check(
        r#"Cluster { Name = one; Fence = required; Lease Time = 0; Drift Bound = 101 }
Cluster { Name = two }
Instance { Name = a; Address = 10.1.0.1; Fence Device = ipmi-x }
Instance { Name = b; Address = 10.1.0.1; Dir Port = 9101; Fence Device = ipmi-a }
Instance { Name = c; Address = 10.3.0.1; Fence Device = ipmi-a }
Instance { Name = c; Address = 10.4.0.1 }
Fence Device { Name = ipmi-a; Agent = bin/fence; Timeout = 0; Retries = 101; Option = geheim, "x y=1", "action=on"; Option = "ip=1", "ip=2" }
"#,
        expect![[r#"
            9:54: error: `Lease Time` is 0; give at least `1 second`
            9:71: error: `Drift Bound` is 101 percent; give 1 to 100
            10:1: error: there is more than one Cluster resource; a Director is one cluster; remove this one
            11:57: error: `Fence Device`: there is no Fence Device named "ipmi-x"; did you mean `ipmi-a`?
            12:32: error: Instance "b" has the address and port of Instance "a": 10.1.0.1:9101; give each its own `Address` or `Dir Port`
            13:57: error: Instance "c" has the Fence Device of Instance "b": "ipmi-a"; give each instance a Fence Device that switches off its machine alone
            14:1: error: Instance "c" lacks `Fence Device`, which `Fence = required` needs; name the Fence Device that switches its machine off, or write `Fence = none`
            14:19: error: there are two Instance resources named "c"; the first one is in line 13; rename one of them
            15:39: error: `Agent` "bin/fence" is a relative path; give its name alone or its absolute path
            15:60: error: `Timeout` is 0; give at least `1 second`
            15:73: error: `Retries` is 101; give at most 100: a takeover waits for them
            15:87: error: an `Option` has no `=`; write `Option = "key=value"` with a key of the agent's metadata
            15:87: error: the key of an `Option` is not made of letters, digits, `_` and `-`; write `Option = "key=value"` with a key of the agent's metadata
            15:87: error: the `Option` action cannot be set; remove it: which action an agent is called for is said by Holdfast
            15:87: error: the `Option` ip is given twice; remove one of them"#]],
    );
    check(
        "Cluster { Name = one }\n",
        expect![[
            r#"9:1: error: Cluster "one" has no Instance; add an `Instance { Name = …; Address = … }` for each process of the Director"#
        ]],
    );
    check(
        "Fence Device { Name = x; Agent = fence_x; Option = password=geheim }\n",
        expect!["9:60: error: `Option`: the list ends before this; put quotes around each text"],
    );
}

#[test]
fn an_instance_without_a_cluster_is_refused() {
    check(
        "Instance { Name = a; Address = x }\n",
        expect![[
            r#"9:1: error: there is an Instance and no Cluster; add a `Cluster { Name = … }`, or remove the Instance: a Director without a Cluster stands alone"#
        ]],
    );
}

#[test]
fn fencing_of_our_own_beside_pacemakers_is_warned_about() {
    let text = CLUSTER.replace("Fence = required;", "Fence = required; Engine = pacemaker;");
    let shown = load_warnings(&text);
    assert!(shown.contains("`Fence = required` has no effect with `Engine = Pacemaker`"), "{shown}");
    let cluster = read(&text).unwrap().cluster.unwrap();
    assert_eq!(cluster.drift_bound(), std::time::Duration::from_millis(300));
}

#[test]
fn findings_do_not_show_the_options_of_a_fence_agent() {
    let text = CLUSTER.replace("Retries = 1", "Retrys = 1; Option = password=alsosecret");
    let shown = read(&text).unwrap_err().render(false);
    assert!(shown.contains("Retrys"), "{shown}");
    assert!(!shown.contains("geheim") && !shown.contains("alsosecret"), "{shown}");
}
