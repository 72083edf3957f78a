//! Virtual machines: kernels of their own under QEMU, for what no namespace has: block devices, modules, a loss of power.
//!
//! They are emulated, without KVM: a machine boots in some seconds and is slow after that. So what is tested is order and
//! data, and never time. Nothing needs root but the making of the image, which is shared and only read.

mod cable;
mod power;

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};

use crate::tied::{self, Tied};
use crate::wait;
use power::Plug;

pub use cable::{Cable, Hub};
pub use power::{AGENT, Fenced, PowerSwitch};

/// First process of a machine.
const INIT: &str = include_str!("init.sh");
/// Until a machine has booted, several at once on a busy host.
const BOOT: Duration = Duration::from_secs(180);
/// How long a script may take, and what it waits for. An emulated machine takes its time.
const SCRIPT: Duration = Duration::from_secs(300);
/// Between two looks at a machine, which cost it something.
const PAUSE: Duration = Duration::from_secs(1);

/// What machines start from.
#[derive(Debug, Clone)]
pub struct Image {
    folder: PathBuf,
}

impl Image {
    /// Makes it, or takes the one that is there.
    ///
    /// # Errors
    /// When `tests/vm/image` fails: its words.
    pub fn make() -> Result<Self> {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/vm/image");
        let made = Command::new(&script)
            .stdin(Stdio::null())
            .output()
            .with_context(|| format!("start {}", script.display()))?;
        ensure!(made.status.success(), "tests/vm/image: {}", String::from_utf8_lossy(&made.stderr).trim());
        Ok(Self { folder: PathBuf::from(String::from_utf8(made.stdout)?.trim()) })
    }
}

/// What a machine is made of.
#[derive(Debug)]
pub struct Parts<'a> {
    /// Its host name, and that of its plug.
    pub name: &'a str,
    /// The cables of its network cards `eth0` and on, with address and prefix length of each.
    pub cards: Vec<(Cable, &'a str)>,
    /// Sizes of `/dev/vdc` and on, in megabytes; they begin empty. What was written stays when its power is cut, in so far as the machine's
    /// kernel had given it out.
    pub disks_mb: &'a [u64],
    /// Megabytes.
    pub memory_mb: u32,
    /// Folder whose files are in `/run/payload` there.
    pub payload: &'a Path,
}

/// A machine, on or off.
#[derive(Debug)]
pub struct Vm {
    name: String,
    cards: Vec<(Cable, String)>,
    memory_mb: u32,
    image: Image,
    /// Sockets, console, payload.
    folder: tempfile::TempDir,
    disks: Vec<PathBuf>,
    switch: PowerSwitch,
    plug: Arc<Plug>,
    lines: Option<Lines>,
}

/// What the test hears of a machine that is on, or was until a fence agent had it switched off.
#[derive(Debug)]
struct Lines {
    shell: BufReader<UnixStream>,
    monitor: BufReader<UnixStream>,
}

impl Vm {
    /// A machine that is off.
    ///
    /// # Errors
    /// When its files cannot be made.
    pub fn new(image: &Image, switch: &PowerSwitch, parts: Parts<'_>) -> Result<Self> {
        let folder = tempfile::Builder::new().prefix("holdfast-vm-").tempdir_in("/var/tmp")?;
        let mut disks = Vec::new();
        for (number, mb) in parts.disks_mb.iter().enumerate() {
            let disk = folder.path().join(format!("disk{number}"));
            fs::File::create(&disk)?.set_len(mb << 20)?;
            disks.push(disk);
        }
        let init = folder.path().join("init");
        fs::write(&init, INIT)?;
        let tar = Command::new("tar")
            .arg("-cf")
            .arg(folder.path().join("payload.tar"))
            .arg("-C")
            .arg(folder.path())
            .arg("./init")
            .arg("-C")
            .arg(parts.payload)
            .arg(".")
            .status()?;
        ensure!(tar.success(), "tar of {}: {tar}", parts.payload.display());
        Ok(Self {
            name: parts.name.to_owned(),
            cards: parts.cards.into_iter().map(|(cable, address)| (cable, address.to_owned())).collect(),
            memory_mb: parts.memory_mb,
            image: image.clone(),
            folder,
            disks,
            switch: switch.clone(),
            plug: switch.plug(parts.name),
            lines: None,
        })
    }

    /// Switches it on and waits until it answers.
    ///
    /// # Errors
    /// When it does not boot; the text ends with its console.
    pub fn switch_on(&mut self) -> Result<()> {
        ensure!(!self.plug.is_in(), "{} is on already", self.name);
        for socket in ["shell", "power", "monitor"] {
            let _ = fs::remove_file(self.folder.path().join(socket));
        }
        self.plug.put_in(Tied::start("qemu-system-x86_64", self.qemu()?)?);
        let lines = self.greet().map_err(|error| {
            let console = fs::read(self.folder.path().join("console")).unwrap_or_default();
            error.context(format!("{}: {}", self.name, String::from_utf8_lossy(&console)))
        })?;
        self.lines = Some(lines);
        self.monitor(r#"{"execute":"qmp_capabilities"}"#)
    }

    fn qemu(&self) -> Result<Command> {
        let at = |file: &str| self.folder.path().join(file).display().to_string();
        let image = |file: &str| self.image.folder.join(file).display().to_string();
        let mut command = tied::command(None);
        command.args(["qemu-system-x86_64", "-accel", "tcg,thread=multi,tb-size=256", "-cpu", "max"]);
        command.args(["-machine", "pc", "-m", &self.memory_mb.to_string(), "-smp", "1"]);
        command.args(["-nodefaults", "-no-user-config"]);
        command.args(["-display", "none", "-no-reboot", "-device", "virtio-rng-pci"]);
        command.args(["-kernel", &image("vmlinuz"), "-initrd", &image("loader.gz"), "-append"]);
        let addresses: Vec<&str> = self.cards.iter().map(|(_, address)| address.as_str()).collect();
        command.arg(format!(
            "console=ttyS0 quiet panic=-1 mitigations=off tsc=unstable random.trust_cpu=on kit.name={} kit.addresses={}",
            self.name,
            addresses.join(",")
        ));
        command.args(["-serial", &format!("file:{}", at("console"))]);
        for name in ["shell", "power", "monitor"] {
            command.args(["-chardev", &format!("socket,id={name},path={},server=on,wait=off", at(name))]);
        }
        command.args(["-device", "virtio-serial-pci"]);
        for name in ["shell", "power"] {
            command.args(["-device", &format!("virtserialport,chardev={name},name={name}")]);
        }
        command.args(["-mon", "chardev=monitor,mode=control"]);
        let drive = |file: &str, more: &str| format!("file={file},format=raw,if=virtio{more}");
        command.args(["-drive", &drive(&image("root.img"), ",snapshot=on")]);
        command.args(["-drive", &drive(&at("payload.tar"), ",readonly=on")]);
        for disk in &self.disks {
            command.args(["-drive", &drive(&disk.display().to_string(), ",cache=writeback")]);
        }
        for (card, (cable, _)) in self.cards.iter().enumerate() {
            command.args(cable.arguments(card));
        }
        let log = fs::File::create(at("qemu.log"))?;
        command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
        Ok(command)
    }

    /// Waits until its shell is there.
    fn greet(&self) -> Result<Lines> {
        let connect = |socket: &str| {
            let path = self.folder.path().join(socket);
            let stream = wait::until("QEMU", wait::START, || Ok(UnixStream::connect(&path).ok()))
                .with_context(|| {
                    fs::read_to_string(self.folder.path().join("qemu.log")).unwrap_or_default()
                })?;
            Ok::<_, anyhow::Error>(stream)
        };
        self.switch.serve(connect("power")?)?;
        let (shell, monitor) = (connect("shell")?, connect("monitor")?);
        for stream in [&shell, &monitor] {
            stream.set_read_timeout(Some(BOOT))?;
        }
        let (mut shell, monitor) = (BufReader::new(shell), BufReader::new(monitor));
        let mut line = String::new();
        while line.trim() != "KIT-READY" {
            line.clear();
            ensure!(shell.read_line(&mut line).context("wait for its shell")? > 0, "it ended");
        }
        shell.get_ref().set_read_timeout(Some(SCRIPT))?;
        Ok(Lines { shell, monitor })
    }

    /// Cuts its power.
    ///
    /// # Errors
    /// When QEMU does not end.
    pub fn switch_off(&mut self) -> Result<()> {
        self.lines = None;
        self.plug.pull()
    }

    /// Runs a script of bash and gives what it printed.
    ///
    /// # Errors
    /// When it ends with another code than 0 (the text has what it printed), or not in time.
    pub fn run(&mut self, script: &str) -> Result<String> {
        let (code, said) = self.try_run(script)?;
        ensure!(code == 0, "{}: {script}: exit code {code}: {said}", self.name);
        Ok(said)
    }

    /// As [`Self::run`]; gives the exit code, too.
    ///
    /// # Errors
    /// When it does not end in time.
    pub fn try_run(&mut self, script: &str) -> Result<(i32, String)> {
        let name = &self.name;
        let lines = self.lines.as_mut().with_context(|| format!("{name} is off"))?;
        let asked = || format!("{name}: {script}");
        let shell = &mut lines.shell;
        shell.get_mut().write_all(format!("{}\n{script}", script.len()).as_bytes()).with_context(asked)?;
        let mut head = String::new();
        shell.read_line(&mut head).with_context(asked)?;
        let words: Vec<&str> = head.split_whitespace().collect();
        let ["rc", code, length] = words[..] else { bail!("{}: it answers \"{}\"", asked(), head.trim()) };
        let mut said = vec![0; length.parse()?];
        shell.read_exact(&mut said).with_context(asked)?;
        Ok((code.parse()?, String::from_utf8_lossy(&said).into_owned()))
    }

    /// Runs a script every second until it prints what is wanted.
    ///
    /// # Errors
    /// When it does not within five minutes; the text has what it printed last.
    pub fn run_until(&mut self, script: &str, wanted: impl Fn(&str) -> bool) -> Result<String> {
        let mut last = String::new();
        let what = format!("{script} at {}", self.name);
        let found = wait::until_every(PAUSE, &what, SCRIPT, || {
            last = self.try_run(script)?.1;
            Ok(wanted(&last).then(|| last.clone()))
        });
        found.with_context(|| format!("it printed {last}"))
    }

    /// Pulls the cable of its first network card, or puts it in again.
    ///
    /// # Errors
    /// When QEMU does not do it.
    pub fn set_cable(&mut self, is_in: bool) -> Result<()> {
        self.monitor(&format!(
            r#"{{"execute":"set_link","arguments":{{"name":"{}","up":{is_in}}}}}"#,
            Cable::device(0)
        ))
    }

    fn monitor(&mut self, command: &str) -> Result<()> {
        let name = &self.name;
        let monitor = &mut self.lines.as_mut().with_context(|| format!("{name} is off"))?.monitor;
        monitor.get_mut().write_all(command.as_bytes())?;
        loop {
            let mut line = String::new();
            ensure!(monitor.read_line(&mut line).with_context(|| command.to_owned())? > 0, "QEMU has ended");
            let answer: serde_json::Value = serde_json::from_str(&line)?;
            // Events and the greeting come in between.
            if answer.get("return").is_some() {
                return Ok(());
            }
            ensure!(answer.get("error").is_none(), "{command}: {line}");
        }
    }
}

impl Drop for Vm {
    fn drop(&mut self) {
        // What does not end here ends with this process.
        let _ = self.plug.pull();
    }
}
