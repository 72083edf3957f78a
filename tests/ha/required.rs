//! Takeovers with `Fence = required`: nobody follows an instance before its machine is off (DESIGN §4, I11).

use std::time::Duration;

use anyhow::{Result, ensure};
use holdfast_tests::held::Held;
use holdfast_tests::{our_site, pass};
use testkit::bmc::Bmc;
use testkit::site::Site;
use testkit::wait;

/// A job at its gate under instance `a` of two, each with a board.
struct Fenced {
    held: Held,
    boards: [Bmc; 2],
}

impl Fenced {
    fn start() -> Result<Self> {
        let boards = [Bmc::start()?, Bmc::start()?];
        let agent = boards[0].slow_agent()?;
        let builder = our_site()
            .postgres()
            .instances(&["a", "b"])
            .cluster("Lease Time = 3 seconds")
            .cluster("Fence = required")
            .board_through("a", &boards[0], &agent)
            .board("b", &boards[1]);
        let held = Held::start(builder)?;
        held.site.wait_active("b", "a", wait::START)?;
        for (board, name) in boards.iter().zip(["a", "b"]) {
            board.powers(held.site.instance_process(name)?.id())?;
        }
        Ok(Self { held, boards })
    }

    /// The agent that is to switch `a` off takes its time: longer than claim and lease last when nobody renews them.
    fn slow(&mut self, strike: impl FnOnce(&mut Site) -> Result<()>) -> Result<()> {
        self.boards[0].hold()?;
        strike(&mut self.held.site)?;
        self.boards[0].wait_asked()?;
        pass(Duration::from_secs(5))
    }

    /// Waits until `b` has tried to switch `a` off, in vain.
    fn wait_failed(&self) -> Result<()> {
        wait::until("the fencing to fail", wait::START, || {
            let said = self.held.site.instance_log("b")?;
            Ok(said.contains("fencing failed; the role stays where it is").then_some(()))
        })
    }

    fn epoch(&self) -> Result<u64> {
        let rows = self.held.site.sql("SELECT Epoch FROM hf_leader")?;
        Ok(rows[0][0].parse::<u64>()? & u64::from(u32::MAX))
    }

    /// The job ends `T`, everything is as it must be, and `a` was switched off so often, `b` never.
    fn ends_well(mut self, switched: usize) -> Result<()> {
        self.held.release()?;
        self.held.ends_well()?;
        let [a, b] = &self.boards;
        ensure!(a.switched() == switched, "a was switched {} times", a.switched());
        ensure!(b.switched() == 0, "b, which was well, was switched");
        self.held.site.finish()
    }
}

#[test]
fn killed_its_machine_is_switched_off_first() -> Result<()> {
    let mut fenced = Fenced::start()?;
    fenced.held.site.kill_instance("a")?;
    fenced.held.site.wait_active("b", "b", wait::START)?;
    ensure!(!fenced.boards[0].is_on()?, "it was followed while its machine is on");
    fenced.ends_well(1)
}

#[test]
fn frozen_it_is_dead_before_it_is_followed() -> Result<()> {
    let mut fenced = Fenced::start()?;
    fenced.held.site.freeze_instance("a")?;
    fenced.held.site.wait_active("b", "b", wait::START)?;
    ensure!(!fenced.boards[0].is_on()?, "it was followed while its machine is on");
    fenced.held.site.forget_instance("a")?;
    fenced.ends_well(1)
}

/// Its board says that it did it, and did not. As soon as it does, the takeover comes by itself.
#[test]
fn nobody_takes_over_while_the_fencing_fails() -> Result<()> {
    let mut fenced = Fenced::start()?;
    fenced.boards[0].jam()?;
    fenced.held.site.kill_instance("a")?;
    fenced.wait_failed()?;
    ensure!(fenced.epoch()? == 1, "the role was taken without certainty");
    let report = fenced.held.site.cluster_report("b")?;
    ensure!(report["instances"][1]["role"] == "standby", "{report}");
    fenced.boards[0].unjam()?;
    fenced.held.site.wait_active("b", "b", wait::START)?;
    let switched = fenced.boards[0].switched();
    ensure!(!fenced.boards[0].is_on()? && switched > 1, "switched {switched} times");
    fenced.ends_well(switched)
}

/// The claim is kept for as long as the agent takes.
#[test]
fn nobody_takes_over_while_the_fencing_is_slow() -> Result<()> {
    let mut fenced = Fenced::start()?;
    fenced.slow(|site| site.kill_instance("a"))?;
    ensure!(fenced.epoch()? == 1, "the role was taken without certainty");
    fenced.boards[0].let_go()?;
    fenced.held.site.wait_active("b", "b", wait::START)?;
    ensure!(!fenced.boards[0].is_on()?, "it was followed while its machine is on");
    fenced.ends_well(1)
}

/// It wakes up while the agent is on its way, and would renew its lease: the claim stands against that. Then it is switched off.
#[test]
fn woken_while_the_fencing_is_under_way_it_does_not_get_its_lease_back() -> Result<()> {
    let mut fenced = Fenced::start()?;
    fenced.slow(|site| site.freeze_instance("a"))?;
    fenced.held.site.thaw_instance("a")?;
    wait::until("the woken instance to see that its lease is over", wait::START, || {
        Ok(fenced.held.site.instance_log("a")?.contains("the activation is over").then_some(()))
    })?;
    pass(Duration::from_secs(5))?;
    ensure!(fenced.epoch()? == 1, "the role was taken while the claim stands");
    let report = fenced.held.site.cluster_report("a")?;
    ensure!(report["instances"][0]["role"] == "standby", "{report}");
    fenced.boards[0].let_go()?;
    fenced.held.site.prefer_instance("b");
    fenced.held.site.wait_active("b", "b", wait::START)?;
    fenced.held.site.forget_instance("a")?;
    ensure!(fenced.epoch()? == 2, "epoch {}", fenced.epoch()?);
    fenced.ends_well(1)
}

/// It was only slow: the claim is given back, and it stays the active one.
#[test]
fn woken_after_a_fencing_that_failed_it_goes_on() -> Result<()> {
    let mut fenced = Fenced::start()?;
    fenced.boards[0].jam()?;
    fenced.held.site.freeze_instance("a")?;
    fenced.wait_failed()?;
    fenced.held.site.thaw_instance("a")?;
    fenced.held.site.wait_active("b", "a", wait::START)?;
    let switched = fenced.boards[0].switched();
    let job = fenced.held.job;
    ensure!(fenced.held.site.job(job)?.status() == 'R', "the job has ended");
    fenced.ends_well(switched)
}

/// The site with the board is gone; an operator has seen that it is, and says so.
#[test]
fn an_operator_may_say_that_it_is_off() -> Result<()> {
    let mut fenced = Fenced::start()?;
    fenced.boards[0].jam()?;
    fenced.held.site.kill_instance("a")?;
    fenced.wait_failed()?;
    let said = fenced.held.site.console_of("b", &["cluster promote force"])?;
    ensure!(said.contains("may become active"), "{said}");
    fenced.held.site.wait_active("b", "b", wait::START)?;
    ensure!(fenced.boards[0].is_on()?);
    let switched = fenced.boards[0].switched();
    fenced.ends_well(switched)
}
