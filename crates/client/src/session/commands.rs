//! The commands (spec/01 §5.2): each goes to what executes it.

use wire::frame::{Packet, Signal};
use wire::msg::dir_fd::{Command, RestoreObject};
use wire::msg::fd_sd::FdCaps;

use super::{DirectorSession, Next};
use crate::script::{RunScript, ScriptStage};
use crate::status;

impl DirectorSession {
    pub(super) async fn execute(&mut self, command: Command) -> Next {
        if self.job.is_none() && !works_without_job(&command) {
            // Monitors and old programs ask without making a job first.
            self.make_console_job();
        }
        match command {
            Command::Job(job) => self.job(job).await,
            Command::Level(level) => self.level(level).await,
            Command::FileSet { .. } => self.fileset().await,
            Command::Storage(address) => self.storage(address).await,
            Command::Run(script) => {
                self.setup.scripts.push(script.into());
                self.answer("2000 OK RunScript\n").await
            }
            Command::RunBeforeNow => self.run_before().await,
            Command::RunBeforeJob(command) => self.run_before_old(command).await,
            Command::RunAfterJob(command) => {
                self.setup.scripts.push(RunScript::old_style(command, ScriptStage::After));
                self.answer("2000 OK RunAfter\n").await
            }
            Command::Accurate { .. } => self.accurate().await,
            Command::Backup { file_index } => self.backup(file_index.get()).await,
            Command::Restore(command) => self.restore(command).await,
            Command::EndRestore => self.end_restore(),
            Command::Verify(level) => self.verify(level).await,
            Command::Estimate(command) => self.estimate(command.listing, command.limit).await,
            Command::Cancel { kind, job } => self.cancel(kind, &job).await,
            Command::SetBandwidth(command) => self.bandwidth(command).await,
            Command::SetDebug(command) => self.debug(command).await,
            Command::Status => {
                let lines = status::report(&self.daemon);
                self.list(lines).await
            }
            Command::StatusQuery(query) => {
                let lines = status::query(&self.daemon, &query);
                self.list(lines).await
            }
            Command::Caps => {
                self.send(FdCaps::none(true).format()).await;
                self.signal(Signal::CmdOk).await;
                Next::Go
            }
            Command::ComponentInfo => {
                self.skip_list().await;
                self.answer("2000 OK ComponentInfo\n").await
            }
            Command::RestoreObject(RestoreObject::Object(_)) => {
                // Name and content of an object that belongs to a plugin; this client has none.
                self.recv().await;
                self.recv().await;
                Next::Go
            }
            Command::RestoreObject(RestoreObject::End) => self.answer("2000 OK ObjectRestored\n").await,
            Command::RestoreFileList { .. } => {
                self.skip_list().await;
                Next::Go
            }
            Command::PluginFeatures | Command::Statistics(_) | Command::Query(_) => {
                self.signal(Signal::Eod).await;
                Next::Go
            }
            Command::MemoryDump => self.answer("2000 sm_dump OK\n").await,
            Command::Session(_) => self.answer("2000 OK session\n").await,
            Command::Snapshot(text) if text.starts_with("retention=") => {
                self.answer("2000 Snapshot retention\n").await
            }
            Command::Snapshot(_) => {
                self.send("2999 Snapshot command not found\n").await;
                self.signal(Signal::Eod).await;
                Next::Go
            }
            Command::TestNetwork(_) => {
                self.send("2999 network test failed ERR=not supported by this client\n").await;
                self.signal(Signal::CmdFailed).await;
                Next::Go
            }
            Command::Proxy => {
                self.send("2999 Invalid command\n").await;
                Next::End
            }
            Command::Holdfast(command) => self.holdfast(command).await,
        }
    }

    pub(super) async fn answer(&mut self, text: &str) -> Next {
        self.flush_outbox().await;
        self.send(text).await;
        Next::Go
    }

    pub(super) async fn list(&mut self, lines: Vec<String>) -> Next {
        if let Some(conn) = &mut self.conn {
            for line in lines {
                conn.queue(line);
            }
        }
        self.signal(Signal::Eod).await;
        Next::Go
    }

    /// Reads a list that is of no use here.
    pub(super) async fn skip_list(&mut self) {
        while let Some(Packet::Data(_)) = self.recv().await {}
    }
}

/// Commands that make or need no job.
fn works_without_job(command: &Command) -> bool {
    matches!(command, Command::Job(_) | Command::Holdfast(_))
}
