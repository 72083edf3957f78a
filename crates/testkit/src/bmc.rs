//! A machine's management board: OpenIPMI's `ipmi_sim` on loopback, with a power switch that ends processes.
//!
//! Real `ipmitool` and `fence_ipmilan` work with it as with hardware. It wants Debian's packages `openipmi` and, for the
//! agent, `fence-agents` and `ipmitool`.

use std::fs;
use std::net::{Ipv4Addr, TcpListener, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use tempfile::TempDir;

use crate::site::address;
use crate::wait;

/// The same on every board's own address; below the range of outgoing connections.
const PORT: u16 = 21_623;
/// Who may switch the power.
const USER: &str = "admin";
/// The password of [`USER`].
pub const PASSWORD: &str = "bmc-secret";

/// IPMI 2.0 "Get Channel Authentication Capabilities" outside of any session, which every board answers.
const HELLO: [u8; 23] = [
    0x06, 0x00, 0xff, 0x07, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x09, 0x20, 0x18, 0xc8, 0x81, 0x00, 0x38, 0x8e, 0x04,
    0xb5,
];

/// A board; gone when dropped, and when the process of the test ends in any way.
#[derive(Debug)]
pub struct Bmc {
    dir: TempDir,
    address: Ipv4Addr,
    child: Child,
    /// The simulator ends with its standard input.
    _input: ChildStdin,
    _claim: TcpListener,
}

impl Bmc {
    /// Starts a board whose machine is on.
    ///
    /// # Errors
    /// When `ipmi_sim` is missing or does not start.
    pub fn start() -> Result<Self> {
        let dir = tempfile::Builder::new().prefix("holdfast-bmc-").tempdir()?;
        let (address, claim) = address::claim()?;
        write_files(dir.path(), address)?;
        let log = fs::File::create(dir.path().join("sim.log"))?;
        let mut child = Command::new("ipmi_sim")
            .arg("-c")
            .arg(dir.path().join("lan.conf"))
            .arg("-f")
            .arg(dir.path().join("board.emu"))
            .arg("-s")
            .arg(dir.path().join("state"))
            .stdin(Stdio::piped())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()
            .context("start ipmi_sim; it is in Debian's package openipmi")?;
        let input = child.stdin.take().context("the simulator has an input")?;
        let mut board = Self { dir, address, child, _input: input, _claim: claim };
        board.wait_for_answer()?;
        Ok(board)
    }

    fn wait_for_answer(&mut self) -> Result<()> {
        let socket = UdpSocket::bind((self.address, 0))?;
        socket.set_read_timeout(Some(Duration::from_millis(100)))?;
        socket.connect((self.address, PORT))?;
        wait::until("the simulated board to answer", wait::START, || {
            if let Some(status) = self.child.try_wait()? {
                let log = fs::read_to_string(self.dir.path().join("sim.log")).unwrap_or_default();
                bail!("ipmi_sim ended with {status}: {log}");
            }
            let mut answer = [0; 64];
            // Refused as long as nothing listens there.
            Ok(socket.send(&HELLO).and_then(|_| socket.recv(&mut answer)).ok())
        })?;
        Ok(())
    }

    /// Lines for the `Option` directives of a Fence Device with the agent `fence_ipmilan`.
    #[must_use]
    pub fn options(&self) -> Vec<String> {
        let place = [format!("ip={}", self.address), format!("ipport={PORT}")];
        // Without a cipher the agent asks for one, which the simulator answers after 10 s.
        let others = [&format!("username={USER}"), &format!("password={PASSWORD}"), "lanplus=1", "cipher=3"];
        place.into_iter().chain(others.map(str::to_owned)).collect()
    }

    /// The machine runs this process: it is killed when the power goes off.
    ///
    /// # Errors
    /// When the list cannot be written.
    pub fn powers(&self, process: u32) -> Result<()> {
        use std::io::Write as _;
        let mut list = fs::OpenOptions::new().create(true).append(true).open(self.file("processes"))?;
        Ok(writeln!(list, "{process}")?)
    }

    /// Switches the power on again; what ran there before does not.
    ///
    /// # Errors
    /// When the simulator's files cannot be written.
    pub fn switch_on(&self) -> Result<()> {
        fs::write(self.file("processes"), "")?;
        Ok(fs::write(self.file("power"), "1\n")?)
    }

    /// A fence agent for the board, `fence_ipmilan`, that switches nothing off as long as [`Self::hold`] is in force.
    ///
    /// # Errors
    /// When the program cannot be written.
    pub fn slow_agent(&self) -> Result<PathBuf> {
        let (path, at) = (self.file("fence_slow"), self.dir.path().display());
        fs::write(
            &path,
            format!(
                "#!/bin/sh\noptions=$(cat)\n\
                 case \"$options\" in *action=off*)\n\
                 \x20   echo asked >> {at}/asked\n\
                 \x20   while [ -e {at}/held ]; do sleep 0.05; done ;;\n\
                 esac\nprintf '%s\\n' \"$options\" | PATH=$PATH:/usr/sbin:/sbin fence_ipmilan\n"
            ),
        )?;
        make_executable(&path)?;
        Ok(path)
    }

    /// Holds the slow agent up when it is to switch the machine off.
    ///
    /// # Errors
    /// When its file cannot be made.
    pub fn hold(&self) -> Result<()> {
        Ok(fs::write(self.file("held"), "")?)
    }

    /// Lets the slow agent go on.
    ///
    /// # Errors
    /// When it was not held.
    pub fn let_go(&self) -> Result<()> {
        Ok(fs::remove_file(self.file("held"))?)
    }

    /// Waits until the slow agent has been called to switch the machine off.
    ///
    /// # Errors
    /// When it has not in time.
    pub fn wait_asked(&self) -> Result<()> {
        let asked = self.file("asked");
        wait::until("the agent to be called", wait::START, || Ok(asked.exists().then_some(())))
    }

    /// Whether the machine has power.
    ///
    /// # Errors
    /// When the switch cannot be read.
    pub fn is_on(&self) -> Result<bool> {
        Ok(fs::read_to_string(self.file("power")).context("read the power switch")?.trim() == "1")
    }

    /// How often the power was switched, on or off.
    #[must_use]
    pub fn switched(&self) -> usize {
        let calls = fs::read_to_string(self.file("calls")).unwrap_or_default();
        calls.lines().filter(|line| line.contains("set power") || line.contains("set reset")).count()
    }

    /// The switch no longer moves: the board reports success, and nothing happens.
    ///
    /// # Errors
    /// When the simulator's file cannot be made.
    pub fn jam(&self) -> Result<()> {
        Ok(fs::write(self.file("jammed"), "")?)
    }

    /// The switch moves again after [`Self::jam`].
    ///
    /// # Errors
    /// When it was not jammed.
    pub fn unjam(&self) -> Result<()> {
        Ok(fs::remove_file(self.file("jammed"))?)
    }

    fn file(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }
}

impl Drop for Bmc {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn write_files(dir: &Path, address: Ipv4Addr) -> Result<()> {
    let at = dir.display();
    fs::create_dir(dir.join("state"))?;
    fs::write(dir.join("power"), "1\n")?;
    fs::write(
        dir.join("lan.conf"),
        format!(
            "name \"board\"\nset_working_mc 0x20\n  startlan 1\n    addr {address} {PORT}\n    priv_limit admin\n    \
             allowed_auths_callback none md2 md5 straight\n    allowed_auths_user none md2 md5 straight\n    \
             allowed_auths_operator none md2 md5 straight\n    allowed_auths_admin none md2 md5 straight\n    \
             guid a123456789abcdefa123456789abcdef\n  endlan\n  chassis_control \"{at}/chassis\"\n  \
             user 1 true \"\" \"test\" user 10 none md2 md5 straight\n  \
             user 2 true \"{USER}\" \"{PASSWORD}\" admin 10 none md2 md5 straight\n"
        ),
    )?;
    fs::write(
        dir.join("board.emu"),
        "mc_setbmc 0x20\nmc_add 0x20 0 no-device-sdrs 0x23 9 8 0x9f 0x1291 0xf02 persist_sdr\n\
         sel_enable 0x20 1000 0x0a\nmc_enable 0x20\n",
    )?;
    // Called as "… get power" and "… set power 0"; what is lost with the power is what kill -9 takes.
    let chassis = dir.join("chassis");
    fs::write(
        &chassis,
        format!(
            "#!/bin/sh\necho \"$@\" >> {at}/calls\n\
             while [ \"$1\" != get ] && [ \"$1\" != set ] && [ $# -gt 0 ]; do shift; done\n\
             case \"$1 $2\" in\n\
             \"get power\") echo \"power:$(cat {at}/power)\" ;;\n\
             \"get \"*) echo \"$2:0\" ;;\n\
             \"set power\") [ -e {at}/jammed ] && exit 0\n\
             \x20   [ \"$3\" = 0 ] && [ -e {at}/processes ] && xargs -r kill -9 < {at}/processes 2>/dev/null\n\
             \x20   echo \"$3\" > {at}/power ;;\n\
             esac\nexit 0\n"
        ),
    )?;
    make_executable(&chassis)
}

fn make_executable(path: &Path) -> Result<()> {
    use std::os::unix::fs::PermissionsExt as _;
    Ok(fs::set_permissions(path, fs::Permissions::from_mode(0o755))?)
}
