//! Virtual machines: kernels of their own under QEMU, for what no namespace has: block devices, modules, a loss of power.
//!
//! They are emulated, without KVM: a machine boots in some seconds and is slow after that. So what is tested is order and
//! data, and never time. Nothing needs root but the making of the image, which is shared and only read.

mod cable;

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};

use crate::tied::{self, Tied};
use crate::wait;

pub use cable::Cable;

/// First process of a machine.
const INIT: &str = include_str!("init.sh");
/// Until a machine has booted, several at once on a busy host.
const BOOT: Duration = Duration::from_secs(180);
/// How long a script may take. An emulated machine takes its time.
const SCRIPT: Duration = Duration::from_secs(120);

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

/// A machine: what it is made of, also while it is off.
#[derive(Debug)]
pub struct Vm {
    name: String,
    /// Address and prefix length of `eth0`.
    address: String,
    image: Image,
    /// Sockets, console, payload.
    folder: tempfile::TempDir,
    /// `/dev/vdc` and on; what was written stays when its power is cut, in so far as the machine's kernel had given it out.
    disks: Vec<PathBuf>,
    cable: Cable,
    running: Option<Running>,
}

#[derive(Debug)]
struct Running {
    process: Tied,
    shell: BufReader<UnixStream>,
    monitor: BufReader<UnixStream>,
}

impl Vm {
    /// A machine that is off, with empty disks of these sizes. The files of `payload` are in `/run/payload` there.
    ///
    /// # Errors
    /// When its files cannot be made.
    pub fn new(
        name: &str,
        address: &str,
        image: &Image,
        cable: Cable,
        disks_mb: &[u64],
        payload: &Path,
    ) -> Result<Self> {
        let folder = tempfile::Builder::new().prefix("holdfast-vm-").tempdir_in("/var/tmp")?;
        let mut disks = Vec::new();
        for (number, mb) in disks_mb.iter().enumerate() {
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
            .arg(payload)
            .arg(".")
            .status()?;
        ensure!(tar.success(), "tar of {}: {tar}", payload.display());
        let (name, address) = (name.to_owned(), address.to_owned());
        Ok(Self { name, address, image: image.clone(), folder, disks, cable, running: None })
    }

    /// Switches it on and waits until it answers.
    ///
    /// # Errors
    /// When it does not boot; the text ends with its console.
    pub fn switch_on(&mut self) -> Result<()> {
        ensure!(self.running.is_none(), "{} is on already", self.name);
        for socket in ["shell", "monitor"] {
            let _ = fs::remove_file(self.folder.path().join(socket));
        }
        let process = Tied::start("qemu-system-x86_64", self.qemu()?)?;
        let (shell, monitor) = match self.greet() {
            Ok(streams) => streams,
            Err(error) => {
                let console = fs::read(self.folder.path().join("console")).unwrap_or_default();
                return Err(error.context(format!("{}: {}", self.name, String::from_utf8_lossy(&console))));
            }
        };
        self.running = Some(Running { process, shell, monitor });
        self.monitor(r#"{"execute":"qmp_capabilities"}"#)
    }

    fn qemu(&self) -> Result<Command> {
        let at = |file: &str| self.folder.path().join(file).display().to_string();
        let image = |file: &str| self.image.folder.join(file).display().to_string();
        let mut command = tied::command(None);
        command.args(["qemu-system-x86_64", "-accel", "tcg,thread=multi,tb-size=256", "-cpu", "max"]);
        command.args(["-machine", "pc", "-m", "512", "-smp", "1", "-nodefaults", "-no-user-config"]);
        command.args(["-display", "none", "-no-reboot", "-device", "virtio-rng-pci"]);
        command.args(["-kernel", &image("vmlinuz"), "-initrd", &image("loader.gz"), "-append"]);
        command.arg(format!(
            "console=ttyS0 quiet panic=-1 mitigations=off tsc=unstable random.trust_cpu=on kit.name={} kit.address={}",
            self.name, self.address
        ));
        command.args(["-serial", &format!("file:{}", at("console"))]);
        for name in ["shell", "monitor"] {
            command.args(["-chardev", &format!("socket,id={name},path={},server=on,wait=off", at(name))]);
        }
        command.args(["-device", "virtio-serial-pci", "-device", "virtserialport,chardev=shell,name=shell"]);
        command.args(["-mon", "chardev=monitor,mode=control"]);
        let drive = |file: &str, more: &str| format!("file={file},format=raw,if=virtio{more}");
        command.args(["-drive", &drive(&image("root.img"), ",snapshot=on")]);
        command.args(["-drive", &drive(&at("payload.tar"), ",readonly=on")]);
        for disk in &self.disks {
            command.args(["-drive", &drive(&disk.display().to_string(), ",cache=writeback")]);
        }
        command.args(self.cable.arguments());
        let log = fs::File::create(at("qemu.log"))?;
        command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
        Ok(command)
    }

    /// Waits until its shell is there.
    fn greet(&self) -> Result<(BufReader<UnixStream>, BufReader<UnixStream>)> {
        let connect = |socket: &str| {
            let path = self.folder.path().join(socket);
            let stream = wait::until("QEMU", wait::START, || Ok(UnixStream::connect(&path).ok()))
                .with_context(|| {
                    fs::read_to_string(self.folder.path().join("qemu.log")).unwrap_or_default()
                })?;
            stream.set_read_timeout(Some(BOOT))?;
            Ok::<_, anyhow::Error>(BufReader::new(stream))
        };
        let (mut shell, monitor) = (connect("shell")?, connect("monitor")?);
        let mut line = String::new();
        while line.trim() != "KIT-READY" {
            line.clear();
            ensure!(shell.read_line(&mut line).context("wait for its shell")? > 0, "it ended");
        }
        shell.get_ref().set_read_timeout(Some(SCRIPT))?;
        Ok((shell, monitor))
    }

    /// Cuts its power.
    ///
    /// # Errors
    /// When QEMU does not end.
    pub fn switch_off(&mut self) -> Result<()> {
        self.running.take().map_or(Ok(()), |running| running.process.kill())
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
        let running = self.running.as_mut().with_context(|| format!("{name} is off"))?;
        let asked = || format!("{name}: {script}");
        let shell = &mut running.shell;
        shell.get_mut().write_all(format!("{}\n{script}", script.len()).as_bytes()).with_context(asked)?;
        let mut head = String::new();
        shell.read_line(&mut head).with_context(asked)?;
        let words: Vec<&str> = head.split_whitespace().collect();
        let ["rc", code, length] = words[..] else { bail!("{}: it answers \"{}\"", asked(), head.trim()) };
        let mut said = vec![0; length.parse()?];
        shell.read_exact(&mut said).with_context(asked)?;
        Ok((code.parse()?, String::from_utf8_lossy(&said).into_owned()))
    }

    /// Runs a script again and again until it prints what is wanted.
    ///
    /// # Errors
    /// When it does not within two minutes; the text has what it printed last.
    pub fn run_until(&mut self, script: &str, wanted: impl Fn(&str) -> bool) -> Result<String> {
        let mut last = String::new();
        let found = wait::until(&format!("{script} at {}", self.name), SCRIPT, || {
            last = self.try_run(script)?.1;
            Ok(wanted(&last).then(|| last.clone()))
        });
        found.with_context(|| format!("it printed {last}"))
    }

    /// Pulls its network cable, or puts it in again.
    ///
    /// # Errors
    /// When QEMU does not do it.
    pub fn set_cable(&mut self, is_in: bool) -> Result<()> {
        self.monitor(&format!(
            r#"{{"execute":"set_link","arguments":{{"name":"{}","up":{is_in}}}}}"#,
            Cable::DEVICE
        ))
    }

    fn monitor(&mut self, command: &str) -> Result<()> {
        let name = &self.name;
        let monitor = &mut self.running.as_mut().with_context(|| format!("{name} is off"))?.monitor;
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
