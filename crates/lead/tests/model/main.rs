//! The lease protocol under a model checker (docs/decisions/004-lease-model.md): every interleaving within the stated bounds, over the
//! functions that the daemons run. Each known bug that is put back is found.
//!
//! `HOLDFAST_MODEL_SECONDS=1` lets the model's time go on by so much longer, for an exploration that takes longer too.

#![allow(
    clippy::print_stdout,
    reason = "the size of the space explored, and the way to a breach, are the result"
)]

mod jobs;
mod leadership;

use std::fmt::Debug;
use std::hash::Hash;

use jobs::Jobs;
use lead::protocol::Fence;
use leadership::Leadership;
use leadership::landmark::{Landmark, Landmarks};
use leadership::world::{Budget, Bug, Kind};
use stateright::{Checker, HasDiscoveries, Model};

/// Explores everything; no invariant breaks, and what is to be reached is reached.
fn check<M>(name: &str, model: M)
where
    M: Model + Debug + Send + Sync + 'static,
    M::State: Clone + Debug + Hash + Send + Sync + PartialEq,
    M::Action: Clone + Debug + Send + Sync + PartialEq,
{
    let bounds = format!("{model:?}");
    let checker = model.checker().threads(1).finish_when(HasDiscoveries::AnyFailures).spawn_bfs().join();
    println!(
        "{name}: {} states, {} of them different, {} steps deep; {bounds}",
        checker.state_count(),
        checker.unique_state_count(),
        checker.max_depth()
    );
    checker.assert_properties();
}

/// Explores until an invariant breaks, and says which.
fn find<M>(model: M) -> Vec<&'static str>
where
    M: Model + Send + Sync + 'static,
    M::State: Clone + Debug + Hash + Send + Sync + PartialEq,
    M::Action: Clone + Debug + Send + Sync + PartialEq,
{
    let checker = model.checker().threads(1).finish_when(HasDiscoveries::AnyFailures).spawn_bfs().join();
    let mut broken = checker.discoveries();
    broken.retain(|name, _| checker.discovery_classification(name).to_string() == "counterexample");
    for (name, path) in &broken {
        println!("{name}: {:#?}", path.clone().into_actions());
    }
    broken.into_keys().collect()
}

fn two() -> Leadership {
    Leadership {
        instances: 2,
        fence: Fence::None,
        is_managed: false,
        is_stock_storage: false,
        is_replica_late: false,
        horizon: 6,
        mail_max: 1,
        are_reads_slow: false,
        kinds: &[Kind::Start, Kind::Overwrite],
        budget: Budget { commands: 1, ..Budget::default() },
        bug: None,
        reached: Landmarks::default(),
    }
}

fn fenced() -> Leadership {
    Leadership { fence: Fence::Required, is_stock_storage: true, horizon: 5, ..two() }
}

/// A Storage Daemon that checks nothing: all is up to the manager, and to the one that is demoted.
fn managed() -> Leadership {
    let budget = Budget { commands: 1, orders: 1, ..Budget::default() };
    Leadership {
        is_managed: true,
        is_stock_storage: true,
        horizon: 2,
        kinds: &[Kind::Overwrite],
        budget,
        ..two()
    }
}

fn reaches(name: &str, mut model: Leadership, landmarks: &[Landmark]) {
    let longer = std::env::var("HOLDFAST_MODEL_SECONDS").map_or(0, |seconds| seconds.parse().unwrap());
    model.horizon += longer;
    let reached = model.reached.clone();
    check(name, model);
    for landmark in landmarks {
        assert!(reached.has(*landmark), "{name} never came upon {landmark:?}");
    }
}

#[test]
fn a_paused_holder_is_followed_whatever_clock_is_late() {
    let budget = Budget { commands: 1, lost_ticks: 1, ..Budget::default() };
    let model = Leadership { horizon: 5, budget, kinds: &[Kind::Overwrite], ..two() };
    reaches("drift", model, &[Landmark::Expired, Landmark::Overwritten, Landmark::LateRefused]);
}

#[test]
fn a_storage_that_missed_the_takeover_takes_no_stale_command_once_it_has_heard() {
    let budget = Budget { commands: 2, ..Budget::default() };
    let model = Leadership { horizon: 4, budget, ..two() };
    reaches("news", model, &[Landmark::StaleRefused, Landmark::LateRefused, Landmark::Overwritten]);
}

#[test]
fn answers_and_requests_that_are_late_or_lost() {
    let budget = Budget { commands: 1, losses: 1, ..Budget::default() };
    let model = Leadership { horizon: 4, are_reads_slow: true, kinds: &[Kind::Write], budget, ..two() };
    reaches("messages", model, &[Landmark::Expired]);
}

#[test]
fn the_role_is_handed_over_while_commands_are_on_their_way() {
    let budget = Budget { commands: 1, switchovers: 1, ..Budget::default() };
    let model = Leadership { horizon: 4, kinds: &[Kind::Overwrite], budget, ..two() };
    reaches("switchover", model, &[Landmark::Released, Landmark::Overwritten]);
}

#[test]
fn the_catalog_fails_over_and_may_go_back_in_time() {
    let budget = Budget { commands: 1, failovers: 1, ..Budget::default() };
    let model = Leadership { horizon: 4, is_replica_late: true, kinds: &[Kind::Overwrite], budget, ..two() };
    reaches("failover", model, &[Landmark::Renewed, Landmark::Expired, Landmark::Overwritten]);
}

#[test]
fn a_role_that_was_handed_over_is_handed_back_by_an_old_replica() {
    let budget = Budget { switchovers: 1, failovers: 1, ..Budget::default() };
    let model = Leadership { horizon: 4, is_replica_late: true, kinds: &[], budget, ..two() };
    reaches("old release", model, &[Landmark::WentBack, Landmark::Released]);
}

#[test]
fn an_instance_is_killed_and_starts_anew() {
    let budget = Budget { commands: 1, restarts: 1, ..Budget::default() };
    let model = Leadership { horizon: 4, kinds: &[Kind::Overwrite], budget, ..two() };
    reaches("restart", model, &[Landmark::Expired]);
}

#[test]
fn three_instances_of_which_one_is_followed() {
    let budget = Budget { commands: 1, ..Budget::default() };
    let model = Leadership { instances: 3, horizon: 4, kinds: &[Kind::Write], budget, ..two() };
    reaches("three instances", model, &[Landmark::Expired]);
}

#[test]
fn a_stock_storage_behind_fencing_that_fails() {
    reaches("fencing", fenced(), &[Landmark::Fenced, Landmark::FencingFails, Landmark::Overwritten]);
}

#[test]
fn a_cluster_manager_orders_and_fences() {
    reaches("ordered", managed(), &[Landmark::Ordered, Landmark::Overwritten]);
}

#[test]
fn an_instance_dies_under_a_cluster_manager() {
    let budget = Budget { commands: 2, restarts: 1, ..managed().budget };
    let model =
        Leadership { is_stock_storage: false, horizon: 1, kinds: &[Kind::Start], budget, ..managed() };
    reaches("ordered restart", model, &[Landmark::Ordered, Landmark::StaleRefused]);
}

#[test]
fn the_catalog_fails_over_under_a_cluster_manager() {
    let budget = Budget { failovers: 1, ..managed().budget };
    let model =
        Leadership { is_replica_late: true, is_stock_storage: false, horizon: 1, budget, ..managed() };
    reaches("ordered failover", model, &[Landmark::Ordered, Landmark::Renewed]);
}

#[track_caller]
fn finds(bug: Bug, model: Leadership, invariants: &[&str]) {
    let broken = find(Leadership { bug: Some(bug), ..model });
    assert!(
        broken.iter().any(|name| invariants.iter().any(|invariant| name.starts_with(invariant))),
        "{bug:?} breaks {broken:?}"
    );
}

#[test]
fn found_takeover_without_raising_the_epoch() {
    finds(Bug::EpochNotRaised, two(), &["I1: an epoch belongs to one activation"]);
}

#[test]
fn found_lease_counted_from_the_answer() {
    finds(Bug::LeaseFromAnswer, two(), &["I1: one instance at most", "I4"]);
}

#[test]
fn found_epoch_not_checked_at_the_storage() {
    let budget = Budget { commands: 2, ..Budget::default() };
    let model = Leadership { kinds: &[Kind::Start], budget, ..two() };
    finds(Bug::EpochNotChecked, model, &["I1: no effect in an epoch"]);
}

#[test]
fn found_no_nonce_on_a_destructive_command() {
    finds(Bug::NoNonce, two(), &["I4"]);
}

#[test]
fn found_fencing_without_a_claim() {
    finds(Bug::NoClaim, Leadership { horizon: 7, ..fenced() }, &["I11: none is switched off"]);
}

#[test]
fn found_role_given_back_with_a_command_on_its_way() {
    let budget = Budget { commands: 1, switchovers: 1, ..Budget::default() };
    finds(Bug::NotDrained, Leadership { budget, ..two() }, &["I4"]);
}

#[test]
fn found_instance_taken_for_dead_by_the_cluster_manager() {
    finds(Bug::NotFenced, managed(), &["I1: one instance at most", "I4"]);
}

#[test]
fn found_demotion_answered_with_a_command_on_its_way() {
    finds(Bug::NotDrained, managed(), &["I4"]);
}

#[test]
fn found_history_of_the_catalog_not_watched() {
    let budget = Budget { failovers: 1, ..Budget::default() };
    let model = Leadership { is_replica_late: true, budget, kinds: &[], ..two() };
    finds(Bug::TimelineNotWatched, model, &["I1"]);
}

fn one_job() -> Jobs {
    Jobs { files: 2, attempts_max: 2, takeovers_max: 2, bug: None }
}

#[test]
fn a_job_through_attempts_and_takeovers() {
    check("jobs", one_job());
}

#[test]
fn found_new_attempt_before_the_old_one_is_closed() {
    finds_in_job(jobs::Bug::AttemptNotClosed, &["I3: each file", "I5", "I8"]);
}

#[test]
fn found_writes_of_an_epoch_that_is_over() {
    finds_in_job(jobs::Bug::WritesOfAnyEpoch, &["I3", "I5"]);
}

#[test]
fn found_journal_records_taken_twice() {
    finds_in_job(jobs::Bug::NumbersIgnored, &["I3"]);
}

#[test]
fn found_journal_of_a_closed_attempt_taken() {
    finds_in_job(jobs::Bug::ClosedTaken, &["I3", "I5"]);
}

#[track_caller]
fn finds_in_job(bug: jobs::Bug, invariants: &[&str]) {
    let broken = find(Jobs { bug: Some(bug), ..one_job() });
    assert!(
        broken.iter().any(|name| invariants.iter().any(|invariant| name.starts_with(invariant))),
        "{bug:?} breaks {broken:?}"
    );
}
