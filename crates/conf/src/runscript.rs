//! Scripts of a job (spec/04 §4.8).

use crate::table::{Directive, Kind, ResourceKind, ResourceTable, word_enum};

word_enum! {
    /// When a script runs.
    RunsWhen {
        /// Before the job.
        Before = "Before";
        /// After the job.
        After = "After";
        /// On a Windows client, after the snapshot was taken.
        AfterVss = "AfterVSS";
        /// On a client, after the snapshot was taken.
        AfterSnapshot = "AfterSnapshot";
        /// Before and after.
        Always = "Always";
        /// Not at all: what a block without `Runs When` has.
        Never = "Never";
    }
}

/// Where a script runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    /// On the Director's host.
    Director,
    /// On the job's client.
    Client,
    /// On the client of this name.
    Named(String),
}

/// What a script is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Script {
    /// A program with its arguments, not through a shell; %-codes (spec/04 §9.3).
    Command(String),
    /// A console command, run in the Director.
    Console(String),
}

impl Script {
    /// The text of the command.
    #[must_use]
    pub fn text(&self) -> &str {
        match self {
            Self::Command(text) | Self::Console(text) => text,
        }
    }
}

/// One script of a job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunScript {
    /// What runs.
    pub script: Script,
    /// Where.
    pub target: Target,
    /// When.
    pub when: RunsWhen,
    /// Whether it runs after a success.
    pub on_success: bool,
    /// Whether it runs after a failure.
    pub on_failure: bool,
    /// Whether its failure fails the job.
    pub fail_job_on_error: bool,
    /// Whether a new attempt of the job runs it again (Holdfast).
    pub run_again: bool,
}

/// The one-line forms.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ShortForm {
    /// `Run Before Job`.
    RunBeforeJob,
    /// `Run After Job`.
    RunAfterJob,
    /// `Run After Failed Job`.
    RunAfterFailedJob,
    /// `Client Run Before Job`.
    ClientRunBeforeJob,
    /// `Client Run After Job`.
    ClientRunAfterJob,
    /// `Console Run Before Job`.
    ConsoleRunBeforeJob,
    /// `Console Run After Job`.
    ConsoleRunAfterJob,
}

impl ShortForm {
    /// The script that a one-line form stands for (table in spec/04 §4.8).
    #[must_use]
    pub fn script(self, text: String) -> RunScript {
        let (when, target, on_failure) = match self {
            Self::RunBeforeJob => (RunsWhen::Before, Target::Director, false),
            Self::RunAfterJob => (RunsWhen::After, Target::Director, false),
            Self::RunAfterFailedJob => (RunsWhen::After, Target::Director, true),
            Self::ClientRunBeforeJob => (RunsWhen::Before, Target::Client, false),
            Self::ClientRunAfterJob => (RunsWhen::After, Target::Client, false),
            Self::ConsoleRunBeforeJob => (RunsWhen::Before, Target::Director, false),
            Self::ConsoleRunAfterJob => (RunsWhen::After, Target::Director, false),
        };
        let script = match self {
            Self::ConsoleRunBeforeJob | Self::ConsoleRunAfterJob => Script::Console(text),
            Self::RunBeforeJob
            | Self::RunAfterJob
            | Self::RunAfterFailedJob
            | Self::ClientRunBeforeJob
            | Self::ClientRunAfterJob => Script::Command(text),
        };
        RunScript {
            script,
            target,
            when,
            on_success: !on_failure,
            on_failure,
            // An After script has nothing left to fail; the flag then only shows in `show job`.
            fail_job_on_error: true,
            run_again: true,
        }
    }
}

/// Directives of a `RunScript { … }` block.
pub const BLOCK: ResourceTable = ResourceTable {
    kind: ResourceKind::Block,
    name: "RunScript",
    aliases: &[],
    doc: "A script of a Job or JobDefs. Several Command and Console lines make several scripts with the same conditions.",
    groups: &[&[
        Directive::new(
            "Command",
            Kind::Str,
            "Program with arguments; no shell unless written. %-codes are replaced.",
        )
        .example("\"/usr/local/bin/freeze-db %n\""),
        Directive::new("Console", Kind::Str, "Console command, run in the Director.")
            .example("\"prune expired volume yes\""),
        Directive::new(
            "Target",
            Kind::Str,
            "Client that runs it; `%c` for the job's client; empty for the Director.",
        )
        .default("%c"),
        Directive::new("Runs On Client", Kind::Bool, "No: the Director runs it.").default("yes"),
        Directive::new(
            "Runs When",
            Kind::Words(RunsWhen::WORDS),
            "When it runs. A block without it never runs.",
        )
        .example("Before"),
        Directive::new("Runs On Success", Kind::Bool, "Whether it runs after a successful job.")
            .default("yes"),
        Directive::new("Runs On Failure", Kind::Bool, "Whether it runs after a failed or canceled job.")
            .default("no"),
        Directive::new("Fail Job On Error", Kind::Bool, "Whether a failure of the script fails the job.")
            .alias(&["Abort Job On Error"])
            .default("yes"),
        Directive::new(
            "Run Again",
            Kind::Bool,
            "Whether the script runs again when it was started before for the same job: by an earlier attempt, or by a Director that died.",
        )
        .default("yes")
        .since("Holdfast"),
    ]],
    in_effect: true,
};
