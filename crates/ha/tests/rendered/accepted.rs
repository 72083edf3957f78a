//! The programs that are configured take what is rendered for them. Programs of Debian's packages; nothing is started.

use std::fs;
use std::path::Path;

use crate::xml::assert_same;
use crate::{ALL, Rendered, accepts, files, run};

fn text(path: &Path) -> String {
    fs::read_to_string(path).unwrap()
}

#[test]
fn drbd_reads_its_resources() {
    for name in ALL {
        let rendered = Rendered::new(name);
        for file in rendered.ending(".res") {
            let global = text(&file.with_file_name("global_common.conf"));
            let resource = text(&file);
            let all = rendered.scratch("drbd.conf", &format!("{global}{resource}"));
            // Which of both programs reads the syntax of its version; `drbdadm` itself chooses by the kernel's module.
            let program = if resource.contains("node-id") { "drbdadm" } else { "drbdadm-84" };
            let dump = accepts("drbd-utils", program, &["-c", all.to_str().unwrap(), "dump"], &[]);
            for word in ["protocol", "fencing", "address"] {
                assert!(dump.contains(word), "{name}: {word} is not in\n{dump}");
            }
        }
    }
}

#[test]
fn corosync_reads_its_configuration() {
    for name in ALL {
        let rendered = Rendered::new(name);
        let key = rendered.scratch("authkey", &"k".repeat(256));
        for file in rendered.ending("corosync.conf") {
            // The key is where the site has it; here it is beside the file.
            let here =
                text(&file).replace("version: 2\n", &format!("version: 2\n  keyfile: {}\n", key.display()));
            let here = rendered.scratch("corosync.conf", &here.replace("to_stderr: no", "to_stderr: yes"));
            // It must find itself in the list of nodes.
            let node = file.strip_prefix(rendered.root().join("nodes")).unwrap().components().next().unwrap();
            let node = node.as_os_str().to_str().unwrap();
            let config = text(&here);
            let (_, own) = config.split_once(&format!("name: {node}\n")).unwrap();
            let address = own.lines().find_map(|line| line.trim().strip_prefix("ring0_addr: ")).unwrap();
            let script = format!(
                "hostname {node} && ip link set lo up && ip addr add {address} dev lo && exec corosync -t -c {}",
                here.display()
            );
            run("corosync", "corosync", &["-v"], &[]);
            accepts("util-linux", "unshare", &["--net", "--uts", "sh", "-c", &script], &[]);
        }
    }
}

/// The configuration with both nodes online, as the policy engine finds it once the cluster is up.
fn running(cib: &str) -> String {
    let nodes: String = cib
        .lines()
        .filter_map(|line| line.trim().strip_prefix("<node ")?.strip_suffix("/>"))
        .map(|node| {
            format!(
                "<node_state {node} in_ccm=\"true\" crmd=\"online\" join=\"member\" expected=\"member\"/>"
            )
        })
        .collect();
    cib.replace("num_updates=\"0\"", "num_updates=\"0\" have-quorum=\"1\"")
        .replace("<status/>", &format!("<status>{nodes}</status>"))
}

#[test]
fn pacemaker_finds_nothing_to_warn_of() {
    for name in ALL {
        let rendered = Rendered::new(name);
        for file in rendered.ending("cib.xml") {
            let live = rendered.scratch("live.xml", &running(&text(&file)));
            accepts("pacemaker-cli-utils", "crm_verify", &["-VV", "--xml-file", live.to_str().unwrap()], &[]);
        }
    }
}

/// What Pacemaker would start: fencing on the other node, one standby everywhere, nothing before DRBD is promoted.
#[test]
fn pacemaker_plans_what_was_meant() {
    let rendered = Rendered::new("two-nodes");
    let cib = &rendered.ending("cib.xml")[0];
    let live = rendered.scratch("live.xml", &running(&text(cib)));
    let plan = accepts(
        "pacemaker-cli-utils",
        "crm_simulate",
        &["--simulate", "--xml-file", live.to_str().unwrap()],
        &[],
    );
    let (_, end) = plan.split_once("Revised Cluster Status").unwrap();
    for line in [
        "fence-board-north\t(stonith:fence_ipmilan):\t Started dir-south",
        "fence-board-south\t(stonith:fence_ipmilan):\t Started dir-north",
        "Unpromoted: [ dir-north dir-south ]",
        "pgsql-main\t(ocf:heartbeat:pgsql):\t Stopped",
        "ip-director-1\t(ocf:heartbeat:IPaddr2):\t Stopped",
    ] {
        assert!(end.contains(line), "{line} is not in\n{plan}");
    }
}

/// An empty configuration with the nodes of another one.
fn empty(cib: &str) -> String {
    let nodes: String = cib.lines().filter(|line| line.trim().starts_with("<node ")).collect();
    format!(
        "<cib crm_feature_set=\"3.16.1\" validate-with=\"pacemaker-3.9\" epoch=\"1\" num_updates=\"0\" admin_epoch=\"0\">\
         <configuration><crm_config/><nodes>{nodes}</nodes><resources/><constraints/></configuration><status/></cib>"
    )
}

#[test]
fn cibadmin_crm_and_xml_say_the_same() {
    for name in ALL {
        let rendered = Rendered::new(name);
        for file in rendered.ending("cib.xml") {
            let loaded = rendered.scratch("loaded.xml", &empty(&text(&file)));
            let environment = [("CIB_file", loaded.to_str().unwrap())];
            let arguments = ["--replace", "--scope", "configuration", "--xml-file", file.to_str().unwrap()];
            accepts("pacemaker-cli-utils", "cibadmin", &arguments, &environment);
            assert_same(&text(&loaded), &text(&file), &format!("{name}: cibadmin"));

            fs::write(&loaded, empty(&text(&file))).unwrap();
            let crm = file.with_file_name("configuration.crm");
            let arguments = ["-F", "configure", "load", "replace", crm.to_str().unwrap()];
            accepts("crmsh", "crm", &arguments, &environment);
            assert_same(&text(&loaded), &text(&file), &format!("{name}: crm"));
        }
    }
}

/// Of one cluster: each command of the script is a program, which takes its time.
fn pcs_says_the_same(name: &str, cluster: &str) {
    let rendered = Rendered::new(name);
    let folder = rendered.root().join("clusters").join(cluster);
    let cib = text(&folder.join("cib.xml"));
    let loaded = rendered.scratch("loaded.xml", &empty(&cib));
    // Holdfast's agents are not installed where it is built.
    let forced = |line: &str| {
        if line.contains("ocf:holdfast:") {
            line.replacen("pcs -f", "pcs --force -f", 1)
        } else {
            line.to_owned()
        }
    };
    let script: String =
        text(&folder.join("configuration.pcs.sh")).lines().map(|line| forced(line) + "\n").collect();
    assert!(run("pcs", "pcs", &["--version"], &[]).status.success());
    let script = rendered.scratch("pcs.sh", &script);
    accepts("dash", "sh", &[script.to_str().unwrap(), loaded.to_str().unwrap()], &[]);
    assert_same(&text(&loaded), &cib, &format!("{name}: pcs"));
}

#[test]
fn pcs_and_xml_say_the_same_of_an_example() {
    pcs_says_the_same("two-nodes", "backup");
}

#[test]
fn pcs_and_xml_say_the_same_of_everything_else() {
    pcs_says_the_same("wide", "wide");
}

#[test]
fn postgresql_reads_its_settings() {
    for name in ALL {
        let rendered = Rendered::new(name);
        for file in rendered.ending("/etc/holdfast/postgresql/main.conf") {
            let ask = |setting: &str| {
                let config = format!("--config-file={}", file.display());
                let program = postgres();
                let folder = program.parent().unwrap().to_str().unwrap().to_owned();
                accepts("postgresql", "env", &[&format!("{folder}/postgres"), "-C", setting, &config], &[])
            };
            assert_eq!(ask("synchronous_commit").trim(), "on");
            assert_eq!(ask("fsync").trim(), "on");
            assert_eq!(ask("hba_file").trim(), "/etc/holdfast/postgresql/main.hba.conf");
            if name == "lease" {
                assert!(ask("synchronous_standby_names").contains("ANY 1 ("));
            }
        }
    }
}

/// The newest server that is installed.
fn postgres() -> std::path::PathBuf {
    let folder = Path::new("/usr/lib/postgresql");
    let versions =
        fs::read_dir(folder).unwrap_or_else(|_| panic!("PostgreSQL is missing: install postgresql"));
    let mut programs: Vec<_> = versions
        .map(|version| version.unwrap().path().join("bin/postgres"))
        .filter(|program| program.exists())
        .collect();
    programs.sort();
    programs.pop().unwrap_or_else(|| panic!("PostgreSQL is missing: install postgresql"))
}

/// Patroni's validator wants to reach etcd and to listen, so the addresses are given to a network of its own.
#[test]
fn patroni_finds_its_configuration_valid() {
    let rendered = Rendered::new("patroni");
    for file in rendered.ending("etc/patroni/config.yml") {
        // Whichever server is installed here.
        let programs = postgres();
        let config = text(&file)
            .replace("/usr/lib/postgresql/15/bin", programs.parent().unwrap().to_str().unwrap())
            .replace(
                "/var/lib/postgresql/15/holdfast",
                rendered.folder.path().join("data").to_str().unwrap(),
            );
        let config = rendered.scratch("patroni.yml", &config);
        let script = format!(
            "set -e\nip link set lo up\nfor a in 10.1.0.11 10.2.0.11 10.3.0.8 10.10.0.1 10.10.0.2; do ip addr add $a/32 dev lo; done\n\
             exec python3 -c \"import socket, subprocess, sys\n\
             held = [socket.create_server((a, 2379)) for a in ('10.1.0.11', '10.2.0.11', '10.3.0.8')]\n\
             sys.exit(subprocess.call(['patroni', '--validate-config', '{}']))\"\n",
            config.display()
        );
        accepts("util-linux", "unshare", &["--net", "sh", "-c", &script], &[]);
    }
}

#[test]
fn nftables_reads_the_firewall() {
    for name in ALL {
        for file in Rendered::new(name).ending(".nft") {
            // Rules are checked by the kernel, in a network of their own.
            accepts("nftables", "unshare", &["--net", "nft", "-c", "-f", file.to_str().unwrap()], &[]);
        }
    }
}

#[test]
fn systemd_reads_units_and_drop_ins() {
    let packaged = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../packaging/systemd");
    for name in ALL {
        let rendered = Rendered::new(name);
        for machine in fs::read_dir(rendered.root().join("nodes")).unwrap() {
            let system = machine.unwrap().path().join("etc/systemd/system");
            if !system.exists() {
                continue;
            }
            let units = tempfile::tempdir().unwrap();
            let mut names = Vec::new();
            for file in files(&system) {
                let below = file.strip_prefix(&system).unwrap();
                let first = below.components().next().unwrap().as_os_str().to_str().unwrap().to_owned();
                let unit = first.strip_suffix(".d").unwrap_or(&first).to_owned();
                // A program that is not installed here is another matter.
                let here = |text: String| text.replace("/usr/bin/holdfast", "/bin/true");
                let target = units.path().join(below);
                fs::create_dir_all(target.parent().unwrap()).unwrap();
                fs::write(&target, here(text(&file))).unwrap();
                let base = units.path().join(&unit);
                if first.ends_with(".d") && !base.exists() {
                    let sources = [packaged.join(&unit), Path::new("/lib/systemd/system").join(&unit)];
                    let source = sources.iter().find(|path| path.exists());
                    let source = source
                        .unwrap_or_else(|| panic!("{unit} is missing: install the package that it is from"));
                    fs::write(&base, here(text(source))).unwrap();
                }
                if !unit.contains('@') && !names.contains(&unit) {
                    names.push(unit);
                }
            }
            let mut arguments = vec!["verify"];
            let paths: Vec<_> = names.iter().map(|name| units.path().join(name)).collect();
            arguments.extend(paths.iter().map(|path| path.to_str().unwrap()));
            let path = format!("{}:", units.path().display());
            let output = run("systemd", "systemd-analyze", &arguments, &[("SYSTEMD_UNIT_PATH", &path)]);
            let said = String::from_utf8_lossy(&output.stderr).into_owned();
            let about = |line: &&str| line.contains("holdfast-ha.conf") || line.contains("holdfast-");
            assert!(output.status.success() && !said.lines().any(|line| about(&line)), "{name}: {said}");
        }
    }
}

/// The Director takes what says who its instances are.
#[test]
fn the_director_reads_its_instances() {
    const REST: &str = "Director { Name = d; Password = p; Query File = q; Working Directory = /tmp; Pid Directory = /tmp }\n\
        Catalog { Name = c; DB Name = b }\nMessages { Name = m; Console = all }\n\
        Client { Name = f; Address = f; Password = p; Catalog = c }\n\
        Storage { Name = st; Address = s; Password = p; Device = v; Media Type = t }\n\
        Pool { Name = po; Pool Type = Backup }\nFileSet { Name = x; Include { File = / } }\n\
        Job { Name = j; Type = Backup; Client = f; Storage = st; Pool = po; FileSet = x; Messages = m }\n";
    for name in ALL {
        for file in Rendered::new(name).ending("-instances.conf") {
            let mut loader = conf::TextLoader::new("dir.conf", format!("{REST}@{}\n", file.display()));
            loader.texts.push((file.display().to_string(), fs::read(&file).unwrap()));
            let config = conf::load::<conf::DirectorConfig>("dir.conf", &mut loader).unwrap().config;
            assert_eq!(config.instances.len(), 2, "{name}");
            let engine = config.cluster.unwrap().engine;
            let pacemaker = matches!(name, "two-nodes" | "separate-catalog" | "wide");
            assert_eq!(engine == conf::director::Engine::Pacemaker, pacemaker, "{name}");
        }
    }
}

/// What the scripts install is what `--diff` finds right; what is changed afterwards it finds.
#[test]
fn what_is_installed_is_what_is_compared() {
    let owners = regex::Regex::new(" -o [a-z]+ -g [a-z]+").unwrap();
    for (name, node) in
        [("two-nodes", "dir-south"), ("separate-catalog", "sd1"), ("patroni", "etcd3"), ("lease", "a")]
    {
        let rendered = Rendered::new(name);
        let root = rendered.folder.path().join("machine");
        let script = rendered.root().join("install").join(format!("{node}.sh"));
        // Owners are users of packages that are not all here.
        let here = rendered.root().join("install").join("here.sh");
        fs::write(&here, owners.replace_all(&text(&script), "").as_bytes()).unwrap();
        accepts("dash", "sh", &[here.to_str().unwrap(), root.to_str().unwrap()], &[]);
        let diff = || {
            let file = crate::example(name);
            crate::ha(&[
                "render",
                file.to_str().unwrap(),
                "--diff",
                "--node",
                node,
                "--root",
                root.to_str().unwrap(),
            ])
            .unwrap()
        };
        assert_eq!(diff(), ha::Exit::Good, "{name}");
        let nft = root.join("etc/nftables.d/holdfast-ha.nft");
        fs::write(&nft, text(&nft) + "# by hand\n").unwrap();
        assert_eq!(diff(), ha::Exit::Bad, "{name}");
    }
}

/// Commands of the runbook are for machines that there are, and a shell reads them.
#[test]
fn a_shell_reads_the_runbook() {
    for name in ALL {
        let rendered = Rendered::new(name);
        let book = text(&rendered.root().join("RUNBOOK.md"));
        let nodes = rendered.root().join("nodes");
        let mut commands = String::new();
        for block in book.split("\n```sh on=").skip(1) {
            let (machine, rest) = block.split_once('\n').unwrap();
            assert!(nodes.join(machine).exists(), "{name}: there is no machine {machine}");
            commands.push_str(rest.split_once("\n```").unwrap().0);
            commands.push('\n');
        }
        assert!(!commands.is_empty(), "{name}: {book}");
        let script = rendered.scratch("runbook.sh", &commands);
        accepts("dash", "sh", &["-n", script.to_str().unwrap()], &[]);
        for script in files(&rendered.root().join("install")) {
            accepts("dash", "sh", &["-n", script.to_str().unwrap()], &[]);
        }
    }
}
