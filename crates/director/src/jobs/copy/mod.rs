//! Copy and Migration Jobs (spec/04 §6, spec/03 §7): a control job that reads, and a written job that it drives.
//!
//! The control job chooses what to take ([`choose`]), finds where it lies ([`source`]), makes the written job or goes on with
//! one that was cut off ([`written`]), brings the two Storage Daemons together and waits for both ([`run`]); an original on several
//! Storages is read from one after the other, and the written job goes on behind each part ([`part`]). The end of both is
//! one transaction ([`end_tx`]): until then the written job is of type `C` and no backup, whatever becomes of the Director. A
//! Director that takes over asks both Storage Daemons and goes on in the same way ([`adopt`]).
//!
//! The written job has no task of its own and never stands in the queue: it is what its messages, its journal and `cancel` hang on.

pub(crate) mod adopt;
mod choose;
mod end;
mod end_tx;
mod part;
mod replicate;
mod report;
mod run;
mod source;
mod written;

pub(crate) use choose::{check_place, choose};
pub(crate) use end::{drain, give_up_left, write_end};
pub(crate) use replicate::replicate;
pub(crate) use report::{figures, report};
pub(crate) use run::run;
pub(crate) use written::{Writing, give_up};

use policy::plan::{ControlPlan, CopyPlan, JobPlan};
use types::JobType;

/// Whether a job of this plan is the control job of a copy or migration.
pub(crate) fn is_control(plan: &JobPlan) -> bool {
    matches!(plan.job_type, JobType::Copy | JobType::Migrate)
}

/// The plan with its control part changed.
fn with_control(plan: &JobPlan, change: impl FnOnce(&mut ControlPlan)) -> JobPlan {
    let mut control = plan.control().unwrap_or_default();
    change(&mut control);
    JobPlan { copy: Some(CopyPlan::Control(control)), ..plan.clone() }
}

/// The plan of another try: it takes the same job, written anew or gone on with.
pub(crate) fn again(plan: &JobPlan) -> JobPlan {
    with_control(plan, |control| (control.written, control.part_end) = (None, None))
}

/// Words of the two types in messages (fixtures `copy.txt`, `mail-migration-ok.txt`).
struct Words {
    /// `Copying`, `Migration`.
    doing: &'static str,
    /// `copied`, `migrated`.
    done: &'static str,
    /// `copy`, `migrate`.
    verb: &'static str,
}

fn words(plan: &JobPlan) -> Words {
    if plan.job_type == JobType::Migrate {
        Words { doing: "Migration", done: "migrated", verb: "migrate" }
    } else {
        Words { doing: "Copying", done: "copied", verb: "copy" }
    }
}
