//! One console session: reads commands, runs them, ends answers as the api mode wants it (spec/01 §6.1, §6.2).

use std::sync::Arc;

use super::acl::Acl;
use super::args::Args;
use super::commands;
use super::core::Core;
use super::progress::Followed;
use super::ua::{Done, Halt, In, Sig, Ua};

/// A session: the dialogue, the Director behind it, and the rights of the console.
pub(crate) struct Session {
    pub(super) ua: Ua,
    pub(super) core: Arc<dyn Core>,
    pub(super) acl: Acl,
    /// When the console connected, Unix seconds.
    pub(super) connected: i64,
    /// Whether this session has said which catalog it uses.
    catalog_named: bool,
    /// Whether the user was told of the messages that wait now.
    told_of_messages: bool,
    ended: bool,
    /// What is kept of its commands, when the Director is clustered.
    pub(super) followed: Option<Followed>,
}

impl Session {
    /// A session for a console with these rights, connected at `now` (Unix seconds).
    #[must_use]
    pub(crate) fn new(ua: Ua, core: Arc<dyn Core>, acl: Acl, now: i64) -> Self {
        Self {
            ua,
            core,
            acl,
            connected: now,
            catalog_named: false,
            told_of_messages: false,
            ended: false,
            followed: None,
        }
    }

    /// Serves commands until the console leaves.
    pub(crate) async fn run(mut self) {
        while !self.ended {
            if let Err(Halt::Gone) = self.turn().await {
                return;
            }
        }
    }

    async fn turn(&mut self) -> Done {
        if self.ua.api != 0 {
            self.ua.signal(Sig::MainPrompt).await?;
        }
        match self.ua.next().await? {
            In::Signal(_) => self.ua.signal(Sig::Poll).await,
            In::Line(line) => self.line(&line).await,
        }
    }

    /// Runs one command line with all that surrounds it.
    ///
    /// # Errors
    /// [`Halt::Gone`] only.
    pub(crate) async fn line(&mut self, line: &str) -> Done {
        self.count_line();
        let args = Args::parse(line);
        if args.command().is_empty() || args.command() == "." || args.command().starts_with('#') {
            return self.end_of_answer(true, false).await;
        }
        let command = commands::find(args.command()).filter(|name| self.acl.allows_command(name));
        let Some(command) = command else {
            self.ua.error(format!("{}: is an invalid command.\n", args.command())).await?;
            // In the api modes no end follows: the next prompt does (spec/01 §6.2).
            return if self.ua.api == 0 { self.ua.signal(Sig::Eod).await } else { Ok(()) };
        };
        if self.ua.api != 0 {
            self.ua.signal(Sig::CmdBegin).await?;
        }
        tracing::debug!(command, console = self.acl.console_name().unwrap_or("default"), "console command");
        let result = if self.command_begins(command).await {
            let result = self.dispatch(command, args).await;
            self.command_ended(command).await;
            result
        } else {
            let why = "The command was not run: the catalog does not take changes from this instance now.\n";
            self.ua.fail(why).await
        };
        if let Err(Halt::Gone) = result {
            return Err(Halt::Gone);
        }
        if self.ended {
            // The Director closes without an end of data (spec/01 §6.1).
            return Ok(());
        }
        let quiet = command.starts_with('.') || command == "messages";
        self.end_of_answer(!matches!(result, Err(Halt::Failed)), !quiet).await
    }

    async fn end_of_answer(&mut self, ok: bool, notice: bool) -> Done {
        if notice && !self.ua.gui {
            self.notice_messages().await?;
        }
        let end = match (self.ua.api, ok) {
            (0, _) => Sig::Eod,
            (_, true) => Sig::CmdOk,
            (_, false) => Sig::CmdFailed,
        };
        self.ua.signal(end).await
    }

    async fn notice_messages(&mut self) -> Done {
        if !self.core.messages_pending() {
            self.told_of_messages = false;
            return Ok(());
        }
        if self.ua.autodisplay {
            return self.send_messages().await.map(drop);
        }
        if !self.told_of_messages {
            self.told_of_messages = true;
            if self.ua.api == 0 {
                self.ua.send("You have messages.\n").await?;
            } else {
                self.ua.signal(Sig::MsgsPending).await?;
            }
        }
        Ok(())
    }

    async fn send_messages(&mut self) -> Done<bool> {
        let messages = self.core.take_messages();
        self.told_of_messages = false;
        for message in &messages {
            self.ua.send(message).await?;
        }
        Ok(!messages.is_empty())
    }

    /// `messages`: what waits, or that nothing does.
    pub(super) async fn messages(&mut self, say_none: bool) -> Done {
        if !self.send_messages().await? && say_none {
            self.ua.send("You have no messages.\n").await?;
        }
        Ok(())
    }

    /// Names the catalog once a session, as Bacula does when it is first used.
    pub(super) async fn use_catalog(&mut self, selected: bool) -> Done {
        if std::mem::replace(&mut self.catalog_named, true) || self.ua.api != 0 {
            return Ok(());
        }
        let config = self.core.config();
        let name = config.catalogs.first().map_or("", |c| c.name.as_str());
        if selected {
            self.ua.send(format!("Automatically selected Catalog: {name}\n")).await?;
        }
        self.ua.send(format!("Using Catalog \"{name}\"\n")).await
    }

    /// Ends the session after this command.
    pub(super) fn leave(&mut self) {
        self.ended = true;
    }

    async fn dispatch(&mut self, command: &str, args: Args) -> Done {
        if command.starts_with('.') {
            return Box::pin(self.dot_command(command, &args)).await;
        }
        let args = &args;
        match command {
            "add" => Box::pin(self.add(args)).await,
            "autodisplay" => self.set_switch(args, |ua, on| ua.autodisplay = on).await,
            "automount" => self.set_switch(args, |ua, on| ua.automount = on).await,
            "gui" => self.set_switch(args, |ua, on| ua.gui = on).await,
            "cancel" => Box::pin(self.cancel(args, false)).await,
            "stop" => Box::pin(self.cancel(args, true)).await,
            "create" => Box::pin(self.create_pool(args)).await,
            "delete" => Box::pin(self.delete(args)).await,
            "disable" => Box::pin(self.enable(args, false)).await,
            "enable" => Box::pin(self.enable(args, true)).await,
            "estimate" => Box::pin(self.estimate(args)).await,
            "exit" | "quit" => {
                self.leave();
                Ok(())
            }
            "help" => {
                let item = args.words().first().map(|w| w.key.clone());
                self.ua.send(commands::help_text(item.as_deref())).await
            }
            "label" => Box::pin(self.label(args)).await,
            "relabel" => Box::pin(self.relabel(args)).await,
            "list" => Box::pin(self.list(args, false)).await,
            "llist" => Box::pin(self.list(args, true)).await,
            "messages" => self.messages(true).await,
            "memory" => self.status_header().await,
            "mount" => Box::pin(self.mount(args, "mount")).await,
            "unmount" | "umount" => Box::pin(self.mount(args, "unmount")).await,
            "release" => Box::pin(self.mount(args, "release")).await,
            "prune" => Box::pin(self.prune(args)).await,
            "purge" => Box::pin(self.purge(args)).await,
            "truncate" => Box::pin(self.truncate(args)).await,
            "query" => Box::pin(self.query(args)).await,
            "sqlquery" => Box::pin(self.sqlquery()).await,
            "reload" => self.reload(args).await,
            "restore" => Box::pin(self.restore(args)).await,
            "run" => Box::pin(self.run_job(args)).await,
            "restart" | "resume" => Box::pin(self.resume(args)).await,
            "status" => Box::pin(self.status(args)).await,
            "setdebug" => Box::pin(self.setdebug(args)).await,
            "setbandwidth" => Box::pin(self.setbandwidth(args)).await,
            "show" => Box::pin(self.show(args)).await,
            "statistics" => Box::pin(self.statistics(args)).await,
            "storage" => Box::pin(self.storage(args)).await,
            "time" => self.ua.send(format!("{}\n", super::fmt::day_time(now()))).await,
            "update" => Box::pin(self.update(args)).await,
            "use" => self.use_command(args).await,
            "version" => self.version().await,
            "wait" => Box::pin(self.wait(args)).await,
            other => self.ua.fail(format!("{other}: is an invalid command.\n")).await,
        }
    }
}

impl Session {
    /// Nothing is lost by a command while the catalog is being reconciled.
    pub(super) async fn unless_held(&mut self) -> Done {
        match self.core.held() {
            None => Ok(()),
            Some(why) => self.ua.fail(format!("Not now: {why}.\n")).await,
        }
    }
}

/// Unix seconds.
pub(super) fn now() -> i64 {
    jiff::Timestamp::now().as_second()
}
