//! The protocol's rules one by one; what follows from them together is the model's (`tests/model`).

use std::sync::Arc;
use std::time::Duration;

use types::{ActivationId, Epoch};

use super::*;

const LEASE: Duration = Duration::from_secs(3);

fn at(millis: u64) -> Moment {
    Moment(Duration::from_millis(millis))
}

fn machine(me: &str, fence: Fence) -> Machine {
    let peers = ["a", "b"].into_iter().filter(|name| *name != me).map(Name::from).collect();
    Machine::new(Arc::new(Terms { me: me.into(), peers, lease: LEASE, drift: Duration::from_secs(1), fence }))
}

fn sight(timeline: u32, holder: &str, epoch: Epoch, renewal: u64, tenure: Tenure) -> Sight {
    let row = Row { holder: holder.into(), epoch, activation: ActivationId(9), renewal, tenure };
    Sight { stamp: Stamp { system: 1, timeline }, row: Some(row) }
}

/// Feeds a machine and gives the changes that it asks for.
fn changes(effects: &[Effect]) -> Vec<&Change> {
    effects
        .iter()
        .filter_map(|effect| if let Effect::Ask { change, .. } = effect { Some(change) } else { None })
        .collect()
}

/// `b` active since `at(4000)`, on a row of which it was told before.
fn active() -> (Machine, Sight) {
    let mut b = machine("b", Fence::None);
    let mut seen = sight(0, "a", Epoch(7), 3, Tenure::Held);
    let _ = b.on(Event::Saw(seen.clone()), at(0), ActivationId(1));
    let effects = b.on(Event::Wake, at(4000), ActivationId(2));
    let [Effect::EndSessions { .. }, Effect::Ask { sent, change }] = &effects[..] else {
        panic!("{effects:?}")
    };
    seen.row = Some(apply(&seen, change).unwrap());
    let answer = Event::Answer { sent: *sent, sight: seen.clone(), result: Ok(()) };
    let effects = b.on(answer, at(4100), ActivationId(3));
    let hold = Hold { epoch: Epoch(8), activation: ActivationId(2) };
    let activate = Effect::Activate { hold, until: at(7000), basis: Basis::Expired, reconcile: false };
    assert_eq!(effects, [activate]);
    (b, seen)
}

#[test]
fn a_row_unchanged_for_lease_and_drift_is_followed_and_one_that_moves_is_not() {
    let mut b = machine("b", Fence::None);
    let held = |renewal| Event::Saw(sight(0, "a", Epoch(7), renewal, Tenure::Held));
    let _ = b.on(held(3), at(0), ActivationId(1));
    let _ = b.on(held(4), at(3900), ActivationId(1));
    assert!(changes(&b.on(held(4), at(7800), ActivationId(1))).is_empty());
    let effects = b.on(Event::Wake, at(7900), ActivationId(1));
    assert!(matches!(changes(&effects)[..], [Change::Raise { .. }]), "{effects:?}");
}

#[test]
fn the_holder_renews_at_a_third_and_stops_when_the_lease_it_asked_for_has_run_out() {
    let (mut b, mut row) = active();
    assert_eq!(b.wake_at(), at(5000));
    let effects = b.on(Event::Wake, at(5000), ActivationId(4));
    let [Effect::Ask { sent, change: Change::Renew { hold } }] = &effects[..] else { panic!("{effects:?}") };
    row.row = Some(apply(&row, &Change::Renew { hold: *hold }).unwrap());
    let answer = Event::Answer { sent: *sent, sight: row, result: Ok(()) };
    // Answered late: it counts from when it was asked.
    assert_eq!(b.on(answer, at(6500), ActivationId(4))[0], Effect::Extend { until: at(8000) });
    assert!(b.may_act(at(7999)).is_some());
    assert!(b.may_act(at(8000)).is_none());
    assert_eq!(b.on(Event::Wake, at(8000), ActivationId(4))[0], Effect::StepDown(Why::Expired));
    // And it does not follow itself before what it began is over.
    let _ = b.on(Event::Wake, at(20_000), ActivationId(5));
    assert_eq!(b.role(), RoleKind::Standby);
    let effects = b.on(Event::Drained, at(20_001), ActivationId(5));
    assert!(matches!(changes(&effects)[..], [Change::Raise { .. }]), "{effects:?}");
}

#[test]
fn the_role_is_given_back_only_when_nothing_is_on_its_way() {
    let (mut b, row) = active();
    let back = Event::GiveBack { heir: Some("a".into()), demote: false };
    assert_eq!(b.on(back, at(4200), ActivationId(4)), [Effect::Quiesce(Why::Released)]);
    assert!(b.may_act(at(4200)).is_none());
    let effects = b.on(Event::Drained, at(4300), ActivationId(4));
    let [release] = changes(&effects)[..] else { panic!("{effects:?}") };
    let released = Sight { row: Some(apply(&row, release).unwrap()), ..row };
    let mut a = machine("a", Fence::Required);
    let effects = a.on(Event::Saw(released.clone()), at(0), ActivationId(6));
    assert!(matches!(changes(&effects)[..], [Change::Raise { basis: Basis::Released, .. }]), "{effects:?}");
    // In another history it may have been taken since.
    let old = Sight { stamp: Stamp { system: 1, timeline: 1 }, ..released };
    assert!(changes(&machine("a", Fence::None).on(Event::Saw(old), at(0), ActivationId(6))).is_empty());
}

#[test]
fn the_holder_is_claimed_then_asked_then_switched_off_then_followed() {
    let mut b = machine("b", Fence::Required);
    let mut row = sight(0, "a", Epoch(7), 3, Tenure::Held);
    let _ = b.on(Event::Saw(row.clone()), at(0), ActivationId(1));
    let effects = b.on(Event::Wake, at(4000), ActivationId(2));
    let [claim @ Change::Claim { .. }] = changes(&effects)[..] else { panic!("{effects:?}") };
    row.row = Some(apply(&row, claim).unwrap());
    let renew = Change::Renew { hold: Hold { epoch: Epoch(7), activation: ActivationId(9) } };
    assert_eq!(apply(&row, &renew), Err(Refused));
    let answer = Event::Answer { sent: at(4000), sight: row.clone(), result: Ok(()) };
    let target: Name = "a".into();
    assert_eq!(b.on(answer, at(4100), ActivationId(3)), [Effect::AskPower { target: target.clone() }]);
    let power = |said| Event::Power { target: target.clone(), said };
    let mut failing = b.clone();
    assert_eq!(
        b.on(power(Power::On), at(4200), ActivationId(3)),
        [Effect::PowerOff { target: target.clone() }]
    );
    let effects = b.on(power(Power::Off), at(4300), ActivationId(3));
    let [raise] = changes(&effects)[..] else { panic!("{effects:?}") };
    assert_eq!(apply(&row, raise).unwrap().epoch, Epoch(8));
    // A board without a status may still obey; a failure then gives the claim up, and nobody is followed.
    assert_eq!(
        failing.on(power(Power::Failed), at(4200), ActivationId(3)),
        [Effect::PowerOff { target: target.clone() }]
    );
    let effects = failing.on(power(Power::Failed), at(4200), ActivationId(3));
    let [unclaim @ Change::Unclaim { .. }] = changes(&effects)[..] else { panic!("{effects:?}") };
    assert_eq!(apply(&row, unclaim).unwrap().tenure, Tenure::Held);
    assert_eq!(failing.role(), RoleKind::Standby);
}

#[test]
fn a_holder_comes_back_above_a_lost_history_and_above_what_a_daemon_knew() {
    let (b, row) = active();
    let moved = Sight { stamp: Stamp { system: 1, timeline: 2 }, ..row.clone() };
    for (event, stored, epoch) in [
        (Event::Answer { sent: at(4500), sight: moved.clone(), result: Ok(()) }, moved, Epoch::new(2, 1)),
        (Event::EpochSeen(Epoch(40)), row, Epoch(41)),
    ] {
        let mut b = b.clone();
        let effects = b.on(event, at(4600), ActivationId(4));
        assert_eq!(effects.last(), Some(&Effect::Quiesce(Why::Renewing)));
        let effects = b.on(Event::Drained, at(4700), ActivationId(5));
        let [raise] = changes(&effects)[..] else { panic!("{effects:?}") };
        assert_eq!(apply(&stored, raise).unwrap().epoch, epoch);
    }
}

/// An old copy was put under the server: same history, same activation, but renewals that were confirmed are not in it.
#[test]
fn a_holder_whose_renewals_are_forgotten_comes_back_above_its_own_epoch() {
    let (mut b, old) = active();
    let mut row = old.clone();
    let renew = |b: &mut Machine, ms: u64, row: &mut Sight| {
        let effects = b.on(Event::Wake, at(ms), ActivationId(4));
        let [renew @ Change::Renew { .. }] = changes(&effects)[..] else { panic!("{effects:?}") };
        row.row = Some(apply(row, renew).unwrap());
        b.on(Event::Answer { sent: at(ms), sight: row.clone(), result: Ok(()) }, at(ms + 10), ActivationId(4))
    };
    for ms in [5000, 6000] {
        let effects = renew(&mut b, ms, &mut row);
        assert!(matches!(effects[..], [Effect::Extend { .. }]), "{effects:?}");
    }
    row = old;
    let effects = renew(&mut b, 7000, &mut row);
    assert_eq!(effects, [Effect::Extend { until: at(10_000) }, Effect::Quiesce(Why::Renewing)]);
    let effects = b.on(Event::Drained, at(7100), ActivationId(5));
    let [raise @ Change::Raise { .. }] = changes(&effects)[..] else { panic!("{effects:?}") };
    assert_eq!(apply(&row, raise).unwrap().epoch, Epoch(9));
}

/// Frozen, or without its catalog, for longer than its lease: nobody else began, so it need not wait for itself.
#[test]
fn a_holder_whose_lease_ran_out_takes_the_row_that_is_still_its_own_at_once() {
    let (mut b, row) = active();
    let effects = b.on(Event::Wake, at(60_000), ActivationId(4));
    assert!(effects.contains(&Effect::StepDown(Why::Expired)), "{effects:?}");
    let mut claimed = b.clone();
    assert!(
        changes(&b.on(Event::Saw(row.clone()), at(60_050), ActivationId(4))).is_empty(),
        "not drained yet"
    );
    let effects = b.on(Event::Drained, at(60_100), ActivationId(5));
    let [raise @ Change::Raise { .. }] = changes(&effects)[..] else { panic!("{effects:?}") };
    assert!(apply(&row, raise).is_ok());
    // One that another instance claims is not its own any more.
    let mut other = row;
    let tenure = Tenure::Claimed { by: "a".into(), claim: ActivationId(7) };
    other.row = other.row.map(|row| Row { tenure, ..row });
    let _ = claimed.on(Event::Saw(other), at(60_050), ActivationId(4));
    assert!(changes(&claimed.on(Event::Drained, at(60_100), ActivationId(5))).is_empty());
}

#[test]
fn what_hinders_an_instance_stands_until_an_operator_overrides_it() {
    let mut b = machine("b", Fence::Required);
    let _ = b.on(Event::Hindered(Some(Hindrance::NotSynchronous)), at(0), ActivationId(1));
    let _ = b.on(Event::Saw(sight(0, "a", Epoch(7), 3, Tenure::Held)), at(0), ActivationId(1));
    assert!(changes(&b.on(Event::Wake, at(60_000), ActivationId(1))).is_empty());
    let effects = b.on(Event::Force, at(60_001), ActivationId(1));
    let [Change::Raise { basis, overridden, .. }] = changes(&effects)[..] else { panic!("{effects:?}") };
    assert_eq!((*basis, *overridden), (Basis::Forced, Some(Hindrance::NotSynchronous)));
}

/// The lease is renewed while what was begun ends, so that the role is given back and does not run out; for one more lease.
#[test]
fn a_role_that_is_given_back_is_kept_until_it_is_drained() {
    let (mut b, row) = active();
    let give = Event::GiveBack { heir: Some("a".into()), demote: false };
    assert_eq!(b.on(give, at(4100), ActivationId(3)), [Effect::Quiesce(Why::Released)]);
    assert!(b.may_act(at(4100)).is_none());
    let mut stored = row;
    for ms in [5000, 6000, 7000] {
        assert!(b.wake_at() <= at(ms), "{:?}", b.wake_at());
        let effects = b.on(Event::Wake, at(ms), ActivationId(3));
        let [renew @ Change::Renew { .. }] = changes(&effects)[..] else { panic!("{effects:?}") };
        stored.row = Some(apply(&stored, renew).unwrap());
        let answer = Event::Answer { sent: at(ms), sight: stored.clone(), result: Ok(()) };
        assert_eq!(b.on(answer, at(ms + 10), ActivationId(3)), []);
    }
    let mut late = b.clone();
    let effects = b.on(Event::Drained, at(7050), ActivationId(4));
    let [release @ Change::Release { .. }] = changes(&effects)[..] else { panic!("{effects:?}") };
    assert_eq!(apply(&stored, release).unwrap().tenure, Tenure::Released { heir: Some("a".into()) });
    assert_eq!(effects.first(), Some(&Effect::StepDown(Why::Released)));
    // Whoever is not drained by then lets it run out.
    assert_eq!(late.wake_at(), at(10_000));
    assert_eq!(
        late.on(Event::Wake, at(10_000), ActivationId(5)).first(),
        Some(&Effect::StepDown(Why::Expired))
    );
}

/// Else the engine would deal with nothing but reads where each takes longer than the time between two.
#[test]
fn a_slow_read_is_followed_by_a_pause() {
    let mut b = machine("b", Fence::None);
    assert_eq!(b.on(Event::Wake, at(0), ActivationId(1)), [Effect::Read]);
    let seen = sight(0, "a", Epoch(7), 3, Tenure::Held);
    assert_eq!(b.on(Event::Saw(seen), at(900), ActivationId(1)), []);
    assert_eq!(b.wake_at(), at(1150));
    assert_eq!(b.on(Event::Wake, at(1150), ActivationId(1)), [Effect::Read]);
}

#[test]
fn under_a_cluster_manager_the_role_is_taken_by_order_alone_and_at_once() {
    let mut b = machine("b", Fence::None);
    let held = sight(0, "a", Epoch(7), 3, Tenure::Held);
    let _ = b.on(Event::Ordered(false), at(0), ActivationId(1));
    let _ = b.on(Event::Saw(held.clone()), at(0), ActivationId(1));
    // The lease of the former holder has long run out, or it gave the role back: that is no order.
    assert!(changes(&b.on(Event::Wake, at(60_000), ActivationId(1))).is_empty());
    let free = sight(0, "a", Epoch(7), 4, Tenure::Released { heir: Some("b".into()) });
    assert!(changes(&b.on(Event::Saw(free), at(60_100), ActivationId(1))).is_empty());
    let _ = b.on(Event::Saw(held.clone()), at(60_200), ActivationId(1));
    let effects = b.on(Event::Ordered(true), at(60_200), ActivationId(2));
    let [Effect::EndSessions { .. }, Effect::Ask { sent, change: change @ Change::Raise { .. } }] =
        &effects[..]
    else {
        panic!("{effects:?}")
    };
    let row = apply(&held, change).unwrap();
    assert_eq!(row.epoch, Epoch(8));
    let raised = Sight { row: Some(row), ..held };
    let answer = Event::Answer { sent: *sent, sight: raised.clone(), result: Ok(()) };
    let effects = b.on(answer, at(60_300), ActivationId(3));
    assert!(matches!(effects[..], [Effect::Activate { basis: Basis::Ordered, .. }]), "{effects:?}");
    // A lease that ran out is taken anew while the order stands, when what it began is over.
    assert_eq!(b.on(Event::Wake, at(70_000), ActivationId(4))[0], Effect::StepDown(Why::Expired));
    let _ = b.on(Event::Saw(raised), at(70_100), ActivationId(4));
    let effects = b.on(Event::Drained, at(70_200), ActivationId(4));
    assert!(matches!(changes(&effects)[..], [Change::Raise { basis: Basis::Ordered, .. }]), "{effects:?}");
}

#[test]
fn an_order_to_stop_gives_the_role_back_and_one_that_was_given_back_waits_for_the_next_order() {
    let (mut b, _) = active();
    let _ = b.on(Event::Ordered(true), at(4150), ActivationId(4));
    assert_eq!(b.on(Event::Ordered(false), at(4200), ActivationId(4)), [Effect::Quiesce(Why::Released)]);
    let effects = b.on(Event::Drained, at(4300), ActivationId(4));
    assert!(matches!(changes(&effects)[..], [Change::Release { .. }]), "{effects:?}");
    assert!(changes(&b.on(Event::Wake, at(90_000), ActivationId(5))).is_empty());
    let (mut b, row) = active();
    let _ = b.on(Event::Ordered(true), at(4150), ActivationId(4));
    let _ = b.on(Event::GiveBack { heir: None, demote: false }, at(4200), ActivationId(4));
    let _ = b.on(Event::Drained, at(4300), ActivationId(4));
    let _ = b.on(Event::Saw(row), at(4400), ActivationId(4));
    assert!(changes(&b.on(Event::Wake, at(90_000), ActivationId(5))).is_empty());
}
