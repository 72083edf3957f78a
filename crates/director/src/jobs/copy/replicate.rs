//! `Copy Pool`: a backup that has ended well is copied there at once.

use super::super::create;
use super::super::job::Job;
use crate::handle::Director;
use crate::peer::chain;
use conf::DirectorConfig;
use policy::plan::{JobPlan, JobRequest, Origin};
use types::{JobStatus, JobType};

/// Asks for the copies of a backup that has ended. What the Director does over again when it died meanwhile does no harm: a job that
/// has its copy is not copied again.
pub(crate) async fn replicate(director: &Director, job: &Job, status: JobStatus, bytes: u64) {
    let plan = job.plan();
    if plan.job_type != JobType::Backup || !status.is_success() || bytes == 0 {
        return;
    }
    for pool in pools(&director.config(), &plan) {
        let mut request = JobRequest::new(plan.job.as_str());
        request.origin = Origin::Clone { parent: job.id.get() };
        request.overrides.pool = Some(plan.pool.name.clone());
        request.overrides.priority = Some(plan.priority);
        request.overrides.target_job = Some(job.id.get());
        request.overrides.copy_to = Some(pool.clone());
        request.overrides.ignore_duplicates = true;
        match Box::pin(create::create(director, request, None)).await {
            Ok(Some(id)) => {
                job.messages.info(&format!("The copy to Pool \"{pool}\" is queued. JobId={id}"));
            }
            Ok(None) => {}
            Err(error) => {
                job.messages.error(&format!(
                    "The copy to Pool \"{pool}\" could not be queued: {}. Run a Copy Job to make it.",
                    chain(&error)
                ));
            }
        }
    }
}

/// Where the backups of a job are copied to: the Job's own word, else its Pool's.
fn pools(config: &DirectorConfig, plan: &JobPlan) -> Vec<String> {
    if let Some(pool) = config.job(&plan.job).and_then(|job| job.copy_pool.clone()) {
        return vec![pool];
    }
    config.pool(&plan.pool.name).map(|pool| pool.copy_pool.clone()).unwrap_or_default()
}
